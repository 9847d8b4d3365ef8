"""A bounded cache answers as a dictionary does, and never holds more than it may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from unigen.bounded_cache import BoundedCache

batches = st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=12), max_size=20)


@given(st.integers(1, 8), batches)
def test_whoever_asks_gets_all_and_the_cache_stays_small(most, asked):
    cache = BoundedCache[int, int](most)
    for keys in asked:
        new = [key for key in dict.fromkeys(keys) if key not in cache]
        assert cache.get_all(keys, [(key, key**2) for key in new]) == {key: key**2 for key in keys}
        assert len(cache) <= most
        assert all(cache.get(key) in (None, key**2) for key in range(21))


@given(st.integers(1, 8), st.lists(st.integers(0, 20), unique=True, max_size=20))
def test_the_oldest_are_forgotten(most, keys):
    cache = BoundedCache[int, str](most)
    for key in keys:
        cache[key] = str(key)
    assert [key for key in keys if key in cache] == keys[-most:]
