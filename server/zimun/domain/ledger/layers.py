"""Mappings of a ledger in memory: one that drops unused keys, and layers of changes over it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class AgingMap(Generic[K, V]):
    """A mapping of two generations, which can forget what was not used since the last `age`."""

    __slots__ = ("_old", "_young")

    def __init__(self) -> None:
        self._young: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value, which counts as used now."""
        value = self._young.get(key)
        if value is not None or not self._old:
            return value
        if (value := self._old.pop(key, None)) is not None:
            self._young[key] = value
        return value

    def get_all(self, keys: Iterable[K]) -> list[V | None]:
        """The value of each key, as `get`; a call for each would take much longer."""
        return list(map(self.get if self._old else self._young.get, keys))

    def update(self, values: Mapping[K, V]) -> None:
        """Set values; they count as used now."""
        if self._old:
            for key in values:
                self._old.pop(key, None)
        self._young.update(values)

    def age(self) -> None:
        """Forget what has not been used since this was last called."""
        self._old, self._young = self._young, {}

    def values(self) -> Iterator[V]:
        """Every value, in no order."""
        yield from self._young.values()
        yield from self._old.values()


class Layer(Generic[K, V]):
    """Changes over a mapping that others share; a new layer for every change."""

    __slots__ = ("_base", "_changes")

    def __init__(self, base: AgingMap[K, V], changes: Mapping[K, V]) -> None:
        self._base, self._changes = base, changes

    def get(self, key: K) -> V | None:
        """The value, changed or not."""
        if self._changes and (value := self._changes.get(key)) is not None:
            return value
        return self._base.get(key)

    def get_all(self, keys: Iterable[K]) -> list[V | None]:
        """The value of each key, as `get`."""
        return list(map(self.get, keys)) if self._changes else self._base.get_all(keys)

    def with_changes(self, changes: Mapping[K, V]) -> "Layer[K, V]":
        """A layer with more changes."""
        return Layer(self._base, {**self._changes, **changes}) if changes else self

    @property
    def changes(self) -> Mapping[K, V]:
        """The changes alone."""
        return self._changes

    @property
    def base(self) -> AgingMap[K, V]:
        """The shared mapping."""
        return self._base

    def merged(self) -> "Layer[K, V]":
        """The same, with the changes in the shared mapping."""
        if not self._changes:
            return self
        self._base.update(self._changes)
        return Layer(self._base, {})


def new_layer() -> "Layer[K, V]":
    """A layer without changes over an empty mapping of its own."""
    return Layer(AgingMap(), {})
