"""Caches that a long-lived process can keep: of a size that is said, the oldest entries forgotten first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """A mapping of at most so many entries: what was put in first goes first, asked for or not.

    Whoever asks for many at once takes them from what `get_all` returns, where none of them is forgotten.

    Args:
        max_entries: so many are kept.
    """

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._entries: dict[Key, Value] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: Key) -> bool:
        return key in self._entries

    def __getitem__(self, key: Key) -> Value:
        return self._entries[key]

    def __setitem__(self, key: Key, value: Value) -> None:
        self.update([(key, value)])

    def get(self, key: Key) -> Value | None:
        """The entry, or None."""
        return self._entries.get(key)

    def get_all(self, keys: Iterable[Key], new: Iterable[tuple[Key, Value]]) -> dict[Key, Value]:
        """The entries of these keys, all of them, even where the cache holds fewer.

        Args:
            keys: each is in the cache or among the new ones.
            new: entries just made, which are put into the cache.
        """
        made = dict(new)
        found = {key: made[key] if key in made else self._entries[key] for key in keys}
        self.update(made.items())
        return found

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def update(self, new: Iterable[tuple[Key, Value]]) -> None:
        """Put entries in, and forget the oldest beyond the bound."""
        self._entries.update(new)
        for key in [*islice(self._entries, max(0, len(self._entries) - self._max_entries))]:
            del self._entries[key]
