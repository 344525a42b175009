"""Caches of methods that keep no object alive."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeVar
from weakref import proxy

if TYPE_CHECKING:
    from functools import _lru_cache_wrapper

T = TypeVar("T")


def cached_method(method: Callable[..., T], max_size: int) -> "_lru_cache_wrapper[T]":
    """A bound method with a cache of its latest results.

    It refers to its object weakly: the object and its results are freed with their last
    user, and do not wait for the garbage collector.
    """
    function, owner = method.__func__, proxy(method.__self__)  # type: ignore[attr-defined]
    return lru_cache(max_size)(partial(function, owner))
