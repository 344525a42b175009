"""One JSON line for each request. Bodies and tokens never get there; contacts travel in bodies."""

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .headers import remembered
from .proto import Config, extension
from .settings import Settings

_LINE = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "client_id": f"%DYNAMIC_METADATA({JWT_FILTER}:{CLAIMS}:client_id)%",
    "remote_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "protocol": "%PROTOCOL%",
    "method": remembered("method"),
    "path": remembered("path"),
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "server": "%UPSTREAM_HOST%",
    "user_agent": remembered("user_agent"),
}


def access_log(settings: Settings) -> list[Config]:
    line = {"json_format": _LINE}
    if not settings.access_log:
        return []
    if settings.access_log == "/dev/stdout":
        message = "extensions.access_loggers.stream.v3.StdoutAccessLog"
        return [extension("envoy.access_loggers.stdout", message, log_format=line)]
    message = "extensions.access_loggers.file.v3.FileAccessLog"
    return [
        extension("envoy.access_loggers.file", message, path=settings.access_log, log_format=line)
    ]
