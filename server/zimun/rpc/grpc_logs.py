"""The log records of gRPC's server that are left out, as callers could cause any number of them."""

import logging
from traceback import walk_tb

_PREFIXES = (
    "Invalid encoding on",
    "ExecuteBatchError raised in core by servicer method",
    "'utf-8' codec can't decode",
)
"""Of records that quote metadata, which may hold tokens; of a response whose caller has gone; of a
server that a path has ended, which `rpc.server` logs."""

_GRPC, _ASYNCIO = logging.getLogger("grpc._cython.cygrpc"), logging.getLogger("asyncio")


def leave_out_records() -> None:
    """Leave the records out from now on."""
    _GRPC.addFilter(_is_to_be_logged)
    _ASYNCIO.addFilter(_is_not_of_ended_server)


def _is_to_be_logged(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_PREFIXES)


def _is_not_of_ended_server(record: logging.LogRecord) -> bool:
    """Whether a record is not about the task in which grpc.aio ends a server after such a path."""
    error = record.exc_info and record.exc_info[1]
    if not isinstance(error, UnicodeDecodeError):
        return True
    frames = walk_tb(error.__traceback__)
    return not any(frame.f_code.co_filename.endswith("aio/server.pyx.pxi") for frame, _ in frames)
