"""Rate limits of the token endpoint, by client and by address.

Failures are counted by client id and by address, and successes by client, each separately: a client
with the right secret gets a token, however many requests failed with its id or from its address.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

MAX_KEYS = 10_000
"""The most keys that a limit remembers; the least recently used is dropped first."""

MAX_KEY_LENGTH = 64
"""Characters after which keys are cut."""


@dataclass
class Limit:
    """A token bucket for each key: `rate` a second, `burst` at once. `time` only goes forward."""

    rate: float
    burst: float
    time: Callable[[], float] = time.monotonic
    _used: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> float:
        """Take a token of the bucket; 0, or the seconds until the bucket has one."""
        key, now = key[:MAX_KEY_LENGTH], self.time()
        left, at = self._used.pop(key, (self.burst, now))
        left = min(left + (now - at) * self.rate, self.burst)
        is_empty = left < 1
        self._used[key] = (left if is_empty else left - 1, now)
        if len(self._used) > MAX_KEYS:
            self._used.popitem(last=False)
        return (1 - left) / self.rate if is_empty else 0


@dataclass
class TokenLimits:
    """The limits of one server."""

    successes: Limit = field(default_factory=lambda: Limit(20, 100))
    failures_of_client: Limit = field(default_factory=lambda: Limit(1, 10))
    failures_of_address: Limit = field(default_factory=lambda: Limit(5, 30))

    def succeeded(self, client_id: str) -> float:
        """Count a token for a client; 0, or the seconds after which it may have one."""
        return self.successes.take(client_id)

    def failed(self, client_id: str, address: str) -> float:
        """Count wrong credentials; 0, or the seconds to wait before the next attempt."""
        by_client = self.failures_of_client.take(client_id)
        return max(by_client, self.failures_of_address.take(subscriber(address)))


def subscriber(address: str) -> str:
    """The key of an address: an IPv4 address itself, of IPv6 the /64 that one subscriber has."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return ""
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
