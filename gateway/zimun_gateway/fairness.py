"""Fair shares of the servers: no organization slows down the others when the servers are busy.

An organization's requests are refused while more of them are admitted than the limit, a rate that
is the same for all organizations; rates are averages that fade exponentially (core-stateless fair
queueing, Stoica et al. 1998). While the servers refuse requests or take several times as long as
when they are idle, the limit is lowered so that a fifth less is admitted in all. Afterwards it
rises quickly to nearly the limit at which they were busy, and slowly from there (as the window of
CUBIC, RFC 9438). While the servers are not busy, `lua/fairness.lua` has no limit.
"""

from importlib.resources import files

from .auth import CLAIMS
from .auth import FILTER as JWT_FILTER
from .config import Config, extension, typed
from .settings import Settings

_FILTER = "zimun.fairness"
_CONSTANTS = {
    "INTERVAL": 50,  # milliseconds between two changes of the limit
    "MIN_BUSY_INTERVALS": 2,
    "DECREASE": 0.8,
    "NEARLY": 0.9,  # of the limit at which the servers were busy
    "APPROACH": 0.05,  # the part of the way to there in an interval
    "PROBE": 0.005,  # the part of the limit by which it rises beyond
    "MAX_SLOWDOWN": 4,  # the mean latency over its lowest, above which servers are busy
    "MIN_LATENCY": 15,  # milliseconds, below which they are not
    "MIN_RATE": 0.01,  # requests a second, below which an organization is forgotten
    "CREEP": 1.0005,  # the growth of the lowest latency in an interval
}


def fairness_filters(settings: Settings) -> list[Config]:
    """The filter, disabled except on routes `shared_fairly`; it comes after `jwt_filter`."""
    if not settings.fair_rate:
        return []
    message = "extensions.filters.http.lua.v3.Lua"
    source = {"inline_string": _source(settings)}
    lua = extension(_FILTER, message, default_source_code=source, clear_route_cache=False)
    return [lua | {"disabled": True}]


def shared_fairly(settings: Settings) -> Config:
    """typed_per_filter_config of a route whose servers organizations share."""
    if not settings.fair_rate:
        return {}
    return {_FILTER: typed("config.route.v3.FilterConfig", config={})}


def _source(settings: Settings) -> str:
    names = {"JWT_FILTER": JWT_FILTER, "CLAIMS": CLAIMS, "NAMESPACE": _FILTER}
    constants: dict[str, int | float | str] = {**_CONSTANTS, "FAIR_RATE": settings.fair_rate}
    lines = [f"local {name} = {value}" for name, value in constants.items()]
    lines += [f'local {name} = "{value}"' for name, value in names.items()]
    return "\n".join([*lines, (files(__package__) / "lua" / "fairness.lua").read_text()])
