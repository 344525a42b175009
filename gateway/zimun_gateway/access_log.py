"""The access log: one JSON line of bounded length for each request.

Bodies, queries and tokens are never logged; contacts travel in bodies. All requests with a good
token are logged, as their rate is limited; other requests get a limited number of lines a second
(`log_rate.yaml`; Envoy supports one such rate). `log_files.py` bounds the files.
"""

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .config import Config, extension
from .headers import logged_header
from .log_path import LOGGED_PATH
from .settings import Settings

_LOGGERS = "extensions.access_loggers"

_LINE = {
    "time": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
    "request_id": "%REQ(X-REQUEST-ID):64%",
    "client_id": f"%DYNAMIC_METADATA({JWT_FILTER}:{CLAIMS}:client_id):64%",
    "remote_address": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "protocol": "%PROTOCOL%",
    "method": logged_header("method"),
    "path": LOGGED_PATH,
    "status": "%RESPONSE_CODE%",
    "grpc_status": "%GRPC_STATUS%",
    "flags": "%RESPONSE_FLAGS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "server": "%UPSTREAM_HOST%",
    "user_agent": logged_header("user_agent"),
}


def access_log(settings: Settings) -> list[Config]:
    """The access logs of the public listener."""
    if not settings.access_log:
        return []
    fields: Config = {"log_format": {"json_format": _LINE}}
    if settings.access_log == "/dev/stdout":
        logger = extension("envoy.access_loggers.stdout", f"{_LOGGERS}.stream.v3.StdoutAccessLog")
    else:
        logger = extension("envoy.access_loggers.file", f"{_LOGGERS}.file.v3.FileAccessLog")
        fields["path"] = settings.access_log
    logger["typed_config"] |= fields
    return [logger | {"filter": _filter(settings)}]


def _filter(settings: Settings) -> Config:
    """The filter of log lines. The rate limit is last: it counts every line that it evaluates."""
    return {"or_filter": {"filters": [_has_token(), _within_rate(settings)]}}


def _has_token() -> Config:
    """Whether the request has a verified token; every such token has the claim `exp`."""
    matcher = {
        "filter": JWT_FILTER,
        "path": [{"key": CLAIMS}, {"key": "exp"}],
        "value": {"present_match": True},
    }
    return {"metadata_filter": {"matcher": matcher, "match_if_key_not_found": False}}


def _within_rate(settings: Settings) -> Config:
    source = {
        "path_config_source": {"path": str(settings.log_rate)},
        "resource_api_version": "V3",
    }
    limit = extension(
        "envoy.access_loggers.extension_filters.process_ratelimit",
        f"{_LOGGERS}.filters.process_ratelimit.v3.ProcessRateLimitFilter",
        dynamic_config={"resource_name": "strangers", "config_source": source},
    )
    return {"extension_filter": limit}
