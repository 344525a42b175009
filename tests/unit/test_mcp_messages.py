"""Which bodies are messages of the Model Context Protocol."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zimun.mcp.messages import INVALID_REQUEST, PARSE_ERROR, Malformed, read_message

GOOD = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}

UNREADABLE = [
    b"",
    b"{",
    b"\xff",
    b'{"jsonrpc":"2.0","id":NaN,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"\\uDC00":1}}',
    b"[" * 100_000,
    b"1" * 5_000,
    b'{"jsonrpc":"2.0","method":"ping"} x',
]

MALFORMED = [
    [GOOD],
    [],
    "ping",
    None,
    {},
    {**GOOD, "jsonrpc": "1.0"},
    {**GOOD, "method": 1},
    {**GOOD, "id": None},
    {**GOOD, "id": True},
    {**GOOD, "id": 1.5},
    {**GOOD, "id": {}},
    {**GOOD, "params": []},
    {"jsonrpc": "2.0", "id": 1, "result": {}},
]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts),
    max_leaves=10,
)


@pytest.mark.parametrize("body", UNREADABLE, ids=range(len(UNREADABLE)))
def test_body_that_is_not_json_is_a_parse_error(body: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        read_message(body)
    assert refused.value.code == PARSE_ERROR


@pytest.mark.parametrize("message", MALFORMED, ids=range(len(MALFORMED)))
def test_json_that_is_no_single_request_is_an_invalid_request(message: object) -> None:
    with pytest.raises(Malformed) as refused:
        read_message(json.dumps(message).encode())
    assert refused.value.code == INVALID_REQUEST


def test_message_of_many_levels_is_an_invalid_request() -> None:
    levels: object = {}
    for _ in range(40):
        levels = {"a": levels}
    with pytest.raises(Malformed) as refused:
        read_message(json.dumps({**GOOD, "params": levels}).encode())
    assert refused.value.code == INVALID_REQUEST


@given(
    id=st.integers() | st.text(),
    method=st.text(),
    params=st.dictionaries(st.text(max_size=3), JSON, max_size=3),
)
def test_requests_and_notifications_are_messages(
    id: int | str, method: str, params: dict[str, object]
) -> None:
    message = {"jsonrpc": "2.0", "method": method, "params": params}
    read_message(json.dumps(message).encode())
    read_message(json.dumps({**message, "id": id}).encode())


@given(st.binary() | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body_is_a_message_or_malformed(body: bytes) -> None:
    with contextlib.suppress(Malformed):
        read_message(body)
        assert isinstance(json.loads(body)["method"], str)
