"""The complete configuration: the file that Envoy starts with."""

from .clusters import clusters
from .config import Config, socket_address
from .listener import listener
from .metrics import metrics_clusters, metrics_listeners
from .overload import overload_manager, release_memory
from .settings import Settings
from .tracing import tracing_clusters
from .yaml_text import yaml_text

HEADER = "# Written by `python -m zimun_gateway --write envoy.yaml`; edit gateway/ instead.\n"


def build(settings: Settings) -> Config:
    """The same dict for the same settings and descriptors, always.

    Raises OSError when the descriptors cannot be read and ValueError for a malformed address.
    """
    return {
        "node": {"id": "zimun", "cluster": "zimun"},
        "admin": {"address": socket_address("127.0.0.1", settings.admin_port)},
        "layered_runtime": _runtime(),
        "overload_manager": overload_manager(settings),
        "memory_allocator_manager": release_memory(),
        "static_resources": {
            "listeners": [listener(settings), *metrics_listeners(settings)],
            "clusters": [
                *clusters(settings),
                *metrics_clusters(settings),
                *tracing_clusters(settings),
            ],
        },
    }


def dump(settings: Settings) -> str:
    """`build` as YAML."""
    return HEADER + yaml_text(build(settings))


def _runtime() -> Config:
    """Runtime settings: by default Envoy refuses regular expressions above 100 RE2 instructions."""
    layer = {"re2.max_program_size.error_level": 4000}
    return {"layers": [{"name": "zimun", "static_layer": layer}]}
