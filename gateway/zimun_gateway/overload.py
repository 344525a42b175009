"""Envoy's overload manager: what it does as connections or memory run out.

Connections beyond the limit are closed at once. As memory fills, Envoy first returns free memory
and closes idle connections sooner, then resets the streams that use the most memory, which are
those of slow readers, and at last refuses new requests; running requests are finished.
"""

from .config import Config, extension, typed
from .settings import Settings

_HEAP = "envoy.resource_monitors.fixed_heap"
_RELEASED = 64 * 1024 * 1024


def overload_manager(settings: Settings) -> Config:
    """The overload manager's resource monitors and actions."""
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [_connections(settings), _heap(settings)],
        "buffer_factory_config": {"minimum_account_to_track_power_of_two": 16},
        "actions": [
            _action("shrink_heap", _above(0.7)),
            _action("reduce_timeouts", _between(0.7, 0.9), _scaled_timers()),
            _action("reset_high_memory_stream", _between(0.85, 0.95)),
            _action("stop_accepting_requests", _above(0.95)),
            _action("reject_incoming_connections", _above(0.98)),
        ],
    }


def release_memory() -> Config:
    """The memory allocator returns free memory to the system, some bytes each second."""
    return {"bytes_to_release": _RELEASED, "memory_release_interval": "1s"}


def _connections(settings: Settings) -> Config:
    return extension(
        "envoy.resource_monitors.global_downstream_max_connections",
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=settings.max_connections,
    )


def _heap(settings: Settings) -> Config:
    message = "extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig"
    return extension(_HEAP, message, max_heap_size_bytes=settings.max_heap_bytes)


def _action(name: str, trigger: Config, config: Config | None = None) -> Config:
    action: Config = {
        "name": f"envoy.overload_actions.{name}",
        "triggers": [{"name": _HEAP} | trigger],
    }
    return action | ({"typed_config": config} if config else {})


def _above(share: float) -> Config:
    return {"threshold": {"value": share}}


def _between(low: float, high: float) -> Config:
    return {"scaled": {"scaling_threshold": low, "saturation_threshold": high}}


def _scaled_timers() -> Config:
    timers = ("HTTP_DOWNSTREAM_CONNECTION_IDLE", "TRANSPORT_SOCKET_CONNECT")
    return typed(
        "config.overload.v3.ScaleTimersOverloadActionConfig",
        timer_scale_factors=[{"timer": timer, "min_timeout": "1s"} for timer in timers],
    )
