"""Calls of the clients: one timeout for both sends, and tokens from sources of callers."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest

from zimun.client import AsyncClient, Client, Unauthenticated
from zimun.client import clients as clients_module
from zimun.v1.organization_pb2 import Organization

TIMEOUT = 1000.0


class PlayedServer(grpc.GenericRpcHandler):
    """A server that refuses all tokens but `good`, and knows what time calls have left."""

    target = ""

    def __init__(self) -> None:
        self.seconds_left: list[float] = []
        self.keys: set[str] = set()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, _: bytes, context: Any) -> bytes:
        metadata = dict(context.invocation_metadata() or ())
        self.seconds_left.append(context.time_remaining())
        self.keys.add(str(metadata["idempotency-key"]))
        if metadata["authorization"] != "Bearer good":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "not this one")
        return Organization(id="o_1").SerializeToString()


@pytest.fixture
async def server() -> AsyncIterator[PlayedServer]:
    played, running = PlayedServer(), grpc.aio.server()
    running.add_generic_rpc_handlers((played,))
    played.target = f"127.0.0.1:{running.add_insecure_port('127.0.0.1:0')}"
    await running.start()
    yield played
    await running.stop(None)


class Source:
    """A source of tokens that is not ClientCredentials: good once `bad` tokens are forgotten."""

    def __init__(self, bad: int) -> None:
        self._bad = bad
        self.forgotten: list[str] = []

    def __call__(self) -> str:
        return "good" if len(self.forgotten) >= self._bad else "bad"

    def forget(self, token: str) -> None:
        self.forgotten.append(token)


async def blocking(target: str, tokens: Callable[[], str]) -> str:
    with Client(target, tokens) as client:
        get = client.with_options(timeout=TIMEOUT).organization.get
        return (await asyncio.to_thread(get)).id


async def awaited(target: str, tokens: Callable[[], str]) -> str:
    async with AsyncClient(target, tokens) as client:
        return (await client.with_options(timeout=TIMEOUT).organization.get()).id


both = pytest.mark.parametrize("get", [blocking, awaited])


@both
async def test_any_source_that_forgets_is_asked_for_another_token(
    server: PlayedServer, get: Any
) -> None:
    source = Source(bad=1)
    assert await get(server.target, source) == "o_1"
    assert source.forgotten == ["bad"]
    assert len(server.keys) == 1
    with pytest.raises(Unauthenticated):
        await get(server.target, Source(bad=2))
    with pytest.raises(Unauthenticated):
        await get(server.target, lambda: "bad")
    assert len(server.seconds_left) == 5


@both
async def test_both_sends_have_one_deadline(
    server: PlayedServer, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = [0.0]
    monkeypatch.setattr(clients_module, "monotonic", lambda: moment[0])

    class SlowSource(Source):
        def forget(self, token: str) -> None:
            moment[0] += 600
            super().forget(token)

    assert await get(server.target, SlowSource(bad=1)) == "o_1"
    first, second = server.seconds_left
    assert first > 600
    assert second < 500


@both
@pytest.mark.parametrize("error", [KeyError("key"), OSError("disk"), TimeoutError("slow")])
async def test_errors_of_a_source_reach_the_caller_as_they_are(get: Any, error: Exception) -> None:
    def fail() -> str:
        raise error

    with pytest.raises(type(error)) as caught:
        await get("127.0.0.1:9", fail)
    assert caught.value.args == error.args


class CurrentSource:
    """A source that has a token at hand from the moment on at which `calls` calls looked for it."""

    def __init__(self, calls: int) -> None:
        self._calls_left = calls
        self._looked_for = threading.Event()
        self._token: str | None = None
        self.asked = 0

    def current(self) -> str | None:
        self._calls_left -= 1
        if self._calls_left == 0:
            self._looked_for.set()
        return self._token

    def __call__(self) -> str:
        self.asked += 1
        self._looked_for.wait()
        self._token = "good"
        return self._token


async def test_calls_at_the_same_time_share_a_request_for_a_token(server: PlayedServer) -> None:
    source = CurrentSource(calls=20)
    async with AsyncClient(server.target, source) as client:
        clients = [client.with_options(timeout=TIMEOUT) for _ in range(20)]
        got = await asyncio.gather(*(each.organization.get() for each in clients))
    assert {each.id for each in got} == {"o_1"}
    assert source.asked == 1


async def test_call_that_is_cancelled_leaves_the_request_for_a_token_to_others(
    server: PlayedServer,
) -> None:
    source = CurrentSource(calls=2)
    async with AsyncClient(server.target, source) as client:
        first = asyncio.ensure_future(client.organization.get())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await client.organization.get()).id == "o_1"
    assert source.asked == 1


async def test_current_token_needs_no_thread(
    server: PlayedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = CurrentSource(calls=1)
    async with AsyncClient(server.target, source) as client:
        await client.organization.get()
        loop: Any = asyncio.get_running_loop()
        monkeypatch.setattr(loop, "run_in_executor", None)
        assert (await client.organization.get()).id == "o_1"
