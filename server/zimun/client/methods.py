"""Methods of a client, typed by their request messages.

A method is declared once, as an attribute of a group, and is a function there: one that returns
for a `SyncGroup`, one that is awaited for an `AsyncGroup`. Its arguments are those of the
request's constructor.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from google.protobuf.message import Message

P = ParamSpec("P")
R = TypeVar("R", bound=Message)
ItemT = TypeVar("ItemT", bound=Message)


class SyncCaller(Protocol):
    """What sends the calls of a blocking client."""

    def call(self, path: str, request: Message, response: type[R]) -> R:
        """Send one call and wait for its response; raises a ClientError."""
        ...


class AsyncCaller(Protocol):
    """What sends the calls of a client for asyncio."""

    async def call(self, path: str, request: Message, response: type[R]) -> R:
        """Send one call; raises a ClientError."""
        ...


class SyncGroup:
    """The methods of one service, which return their response."""

    def __init__(self, caller: SyncCaller) -> None:
        self.caller = caller


class AsyncGroup:
    """The methods of one service, which are awaited."""

    def __init__(self, caller: AsyncCaller) -> None:
        self.caller = caller


class Method(Generic[P, R]):
    """A method with one response; raises a ClientError."""

    def __init__(self, path: str, request: Callable[P, Message], response: type[R]) -> None:
        self._path = f"/zimun.v1.{path}"
        self._request = request
        self._response = response

    @overload
    def __get__(self, group: SyncGroup, owner: Any) -> Callable[P, R]: ...
    @overload
    def __get__(self, group: AsyncGroup, owner: Any) -> Callable[P, Awaitable[R]]: ...
    def __get__(self, group: Any, owner: Any) -> Any:
        def call(*arguments: P.args, **fields: P.kwargs) -> Any:
            request = self._request(*arguments, **fields)
            return group.caller.call(self._path, request, self._response)

        return call


class Pages(Generic[P, ItemT]):
    """A method whose items are read page by page, as they are iterated; raises a ClientError."""

    def __init__(
        self, path: str, request: Callable[P, Message], response: type[Message], _: type[ItemT]
    ) -> None:
        self._path = f"/zimun.v1.{path}"
        self._request = request
        self._response = response

    @overload
    def __get__(self, group: SyncGroup, owner: Any) -> Callable[P, Iterator[ItemT]]: ...
    @overload
    def __get__(self, group: AsyncGroup, owner: Any) -> Callable[P, AsyncIterator[ItemT]]: ...
    def __get__(self, group: Any, owner: Any) -> Any:
        read = self._read_async if isinstance(group, AsyncGroup) else self._read

        def call(*arguments: P.args, **fields: P.kwargs) -> Any:
            return read(group.caller, self._request(*arguments, **fields))

        return call

    def _read(self, caller: SyncCaller, request: Any) -> Iterator[ItemT]:
        while True:
            page: Any = caller.call(self._path, request, self._response)
            yield from page.items
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def _read_async(self, caller: AsyncCaller, request: Any) -> AsyncIterator[ItemT]:
        while True:
            page: Any = await caller.call(self._path, request, self._response)
            for item in page.items:
                yield item
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token
