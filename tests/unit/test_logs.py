"""Log lines: their request id, their bounds, and how many there may be."""

import logging
import sys

import pytest

from zimun.telemetry import logs


def line(message: str, *arguments: object, exc: BaseException | None = None) -> str:
    info = (type(exc), exc, exc.__traceback__) if exc else None
    record = logging.LogRecord("zimun.x", logging.INFO, "", 0, message, arguments, info)
    return logs.Formatter().format(record)


@pytest.fixture(autouse=True)
def no_call() -> None:
    logs.enter_call(())


def test_line_of_a_call_has_its_request_id() -> None:
    assert line("hello").endswith(" INFO zimun.x: hello")
    logs.enter_call((("te", "trailers"), ("x-request-id", "7c1e-0a")))
    assert line("hello").endswith(" INFO zimun.x request_id=7c1e-0a: hello")


@pytest.mark.parametrize("sent", ["", "a b", "a\nb", "x" * 65, "{", b"7c1e"])
def test_request_id_that_is_not_well_formed_is_left_out(sent: str | bytes) -> None:
    logs.enter_call((("x-request-id", sent),))
    assert line("hello").endswith(" INFO zimun.x: hello")


def test_message_is_one_bounded_line() -> None:
    assert line("a%sb", "\r\n2026-01-01 INFO forged\x1b[2J\u2028").endswith(
        r"a\r\n2026-01-01 INFO forged\x1b[2J\u2028b"
    )
    long = line("%s", "x" * 1_000_000)
    assert long.endswith("xx… (1000000 characters)")
    assert len(long) < logs.MAX_MESSAGE + 100


def test_traceback_is_bounded_and_ends_with_what_happened() -> None:
    text = line("failed", exc=ValueError("y" * 100_000 + " the end"))
    assert text.splitlines()[0].endswith("failed")
    assert text.endswith("the end")
    assert len(text) < logs.MAX_TRACEBACK + 200


def test_lines_beyond_the_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 10.0
    monkeypatch.setattr("zimun.telemetry.logs.time.monotonic", lambda: now)
    limiter = logs.Limiter(2)
    assert [limiter.admit() for _ in range(5)] == [0, 0, None, None, None]
    now = 11.0
    assert [limiter.admit() for _ in range(3)] == [3, 0, None]


def test_a_flood_of_lines_is_cut_and_hides_no_line_of_another_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 10.0
    monkeypatch.setattr("zimun.telemetry.logs.time.monotonic", lambda: now)
    rate = logs.RateFilter()

    def logged(level: int) -> str:
        record = logging.LogRecord("zimun.x", level, "", 0, "%d %%", (7,), None)
        return record.getMessage() if rate.filter(record) else ""

    flood = [logged(logging.INFO) for _ in range(1000)]
    assert list(filter(None, flood)) == ["7 %"] * logs.MAX_LINES
    assert logged(logging.WARNING) == logged(logging.ERROR) == "7 %"
    assert all(logged(logging.DEBUG) for _ in range(1000))
    now = 11.0
    assert logged(logging.INFO) == (
        f"7 % ({1000 - logs.MAX_LINES} lines of this level were left out before)"
    )
    assert logged(logging.INFO) == "7 %"


def test_configured_logging_writes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    try:
        logs.configure("WARNING")
        handler = root.handlers[0]
        assert isinstance(handler, logging.StreamHandler)
        assert handler.stream is sys.stderr
        logging.getLogger("zimun").info("quiet")
        logging.getLogger("zimun").warning("loud")
        for _ in range(3 * logs.MAX_LINES):
            logging.getLogger("zimun").error("flood")
    finally:
        root.handlers, root.level = before, level
    written = capsys.readouterr().err
    assert written.partition("\n")[0].endswith(" WARNING zimun: loud")
    assert written.count("flood") <= 2 * logs.MAX_LINES


def test_paths_of_callers_that_grpc_tells_at_debug_are_not_logged(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    for logger in (logging.root, logging.getLogger("grpc")):
        monkeypatch.setattr(logger, "level", logger.level)
    logs.configure("DEBUG")
    logging.getLogger("zimun.x").debug("ours")
    logging.getLogger("grpc._cython.cygrpc").debug("RPC cancelled for [/secret/X]")
    logging.getLogger("grpc._cython.cygrpc").info("told")
    told = capsys.readouterr().err
    assert "ours" in told
    assert "told" in told
    assert "secret" not in told
