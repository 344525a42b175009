"""Transcoding between the JSON of callers and the gRPC of servers.

Unknown paths and query parameters are refused, not ignored, and so are body fields that the path
sets too (unknown body fields: `strict_requests`). `+` in a query string is a plus (RFC 3986), so
that the offset of a timestamp survives a hand-written URL. `convert_grpc_status` makes the
google.rpc.Status of a server's error the HTTP status and the JSON body of the response.
"""

from .config import Config, extension, typed
from .descriptor_set import services
from .settings import Settings

_FILTER = "envoy.filters.http.grpc_json_transcoder"


def transcoder_filter(settings: Settings) -> Config:
    """The filter that transcodes by the HTTP rules of the contract.

    With `match_incoming_request_route` the route that matched the JSON path stays, and so do its
    token requirement and limits.
    """
    return extension(
        _FILTER,
        "extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
        proto_descriptor=str(settings.descriptors),
        services=services(settings.descriptors),
        print_options={"always_print_primitive_fields": True, "preserve_proto_field_names": True},
        convert_grpc_status=True,
        auto_mapping=False,
        match_incoming_request_route=True,
        url_unescape_spec="ALL_CHARACTERS_EXCEPT_SLASH",
        query_param_unescape_plus=False,
        request_validation_options={
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
            "reject_binding_body_field_collisions": True,
        },
        max_request_body_size=settings.max_request_bytes,
        max_response_body_size=settings.max_response_bytes,
    )


def untranscoded() -> Config:
    """The `typed_per_filter_config` that switches transcoding off, for routes to HTTP ports."""
    return {_FILTER: typed("config.route.v3.FilterConfig", disabled=True)}
