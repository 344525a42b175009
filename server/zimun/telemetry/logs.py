"""Log lines of bounded length and number, with the request id of their call.

Only tracebacks have more lines than one.

Envoy makes a request id (x-request-id) for every request, logs it and answers it, so that a
caller's report leads to the lines of both logs.
"""

import contextvars
import logging
import re
import time
from collections import defaultdict
from collections.abc import Iterable

from zimun.domain.text import one_line

MAX_MESSAGE = 2_000
MAX_TRACEBACK = 16_000
"""Characters. Longer texts are cut: callers may have sent part of them."""

MAX_LINES = 50
"""Lines of a level in a second. Callers without a token can cause lines, by wrong secrets."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

Headers = Iterable[tuple[str, str | bytes]]

_headers: contextvars.ContextVar[Headers] = contextvars.ContextVar("headers", default=())


def enter_call(headers: Headers) -> None:
    """Set the headers of the call that this task runs."""
    _headers.set(headers)


def request_id() -> str:
    """The request id of the running call; empty without a call, or if it is malformed.

    It is searched for when a line is logged, as most calls log nothing.
    """
    for name, value in _headers.get():
        if name == "x-request-id":
            return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""
    return ""


class Formatter(logging.Formatter):
    """`TIME LEVEL LOGGER [request_id=ID]: MESSAGE`, cut, with control characters escaped."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(call)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own."""
        call = request_id()
        record.call = f" request_id={call}" if call else ""
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback."""
        record.message = one_line(record.message, MAX_MESSAGE)
        return super().formatMessage(record)

    def formatException(self, ei: "logging._SysExcInfoType") -> str:
        """A traceback; of a long one its end, which says what happened."""
        text = super().formatException(ei)
        return text if len(text) <= MAX_TRACEBACK else f"…{text[-MAX_TRACEBACK:]}"


class Limiter:
    """Limits the lines a second, so that a flood of calls makes no flood of lines."""

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._second, self._passed, self._left_out = 0, 0, 0

    def admit(self) -> int | None:
        """None where a line is to be left out, else how many have been left out before it."""
        if (second := int(time.monotonic())) != self._second:
            self._second, self._passed = second, 0
        if self._passed >= self._per_second:
            self._left_out += 1
            return None
        self._passed += 1
        left_out, self._left_out = self._left_out, 0
        return left_out


class RateFilter(logging.Filter):
    """Passes MAX_LINES records of each level a second, and all of DEBUG.

    The next one says how many were left out. No level's flood hides lines of another.
    """

    def __init__(self) -> None:
        super().__init__()
        self._limiters = defaultdict[int, Limiter](lambda: Limiter(MAX_LINES))

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if record.levelno <= logging.DEBUG:
            return True
        left_out = self._limiters[record.levelno].admit()
        if left_out:
            more = f" ({left_out} lines of this level were left out before)"
            record.msg, record.args = record.getMessage() + more, None
        return left_out is not None


def configure(level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter())
    handler.addFilter(RateFilter())
    logging.basicConfig(level=level, handlers=[handler])
    # At DEBUG, gRPC quotes the paths of calls that it cancels, and tells of each connection.
    logging.getLogger("grpc").setLevel(max(logging.root.level, logging.INFO))
