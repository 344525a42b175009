"""Caches that keep no object alive, and that are bounded by what their values take."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar
from weakref import proxy

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

K = TypeVar("K")
T = TypeVar("T")


class SizedCache(dict[K, T]):
    """Values by their keys, all dropped where the next one would exceed `max_size` in total."""

    def __init__(self, max_size: int) -> None:
        super().__init__()
        self._max_size = self._left = max_size

    def keep(self, key: K, value: T, size: int) -> None:
        """Keep a value of a size; one that exceeds `max_size` alone is not kept."""
        if size > self._max_size:
            return
        if size > self._left:
            self.clear()
            self._left = self._max_size
        self[key] = value
        self._left -= size


def cached_method(method: Callable[..., T], max_size: int) -> "_lru_cache_wrapper[T]":
    """A bound method with a cache of its latest results.

    It refers to its object weakly: the object and its results are freed with their last
    user, and do not wait for the garbage collector.
    """
    function, owner = method.__func__, proxy(method.__self__)  # type: ignore[attr-defined]
    return lru_cache(max_size)(partial(function, owner))
