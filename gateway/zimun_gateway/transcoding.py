"""JSON outside, gRPC inside.

What the contract does not name is refused, never ignored: paths, query parameters, and body fields
that the path sets too. `+` in a query string is a plus, as RFC 3986 has it, so that the offset of a
timestamp survives a hand-written URL.
"""

from .config import Config, extension, typed
from .descriptor_set import services
from .settings import Settings

_FILTER = "envoy.filters.http.grpc_json_transcoder"


def transcoder_filter(settings: Settings) -> Config:
    """The route that was chosen by the JSON path stays, with its token requirement and limits."""
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
    """For routes that speak plain HTTP to the server: typed_per_filter_config."""
    return {_FILTER: typed("config.route.v3.FilterConfig", disabled=True)}
