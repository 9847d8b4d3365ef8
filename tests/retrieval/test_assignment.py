from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.retrieval.assignment import _best_by_subset, _best_of_few, cheapest, choose

seeds = st.integers(0, 2**32 - 1)


@given(st.integers(1, 5), st.integers(1, 4), seeds, st.booleans())
def test_equals_brute_force_over_all_permutations(n, candidates, seed, ties):
    rng = np.random.default_rng(seed)
    costs = rng.integers(0, 3, (candidates, n, n)).astype(float) if ties else rng.random((candidates, n, n))
    rows = np.arange(n)
    brute = [min(cost[rows, list(order)].sum() for order in permutations(range(n))) for cost in costs]
    np.testing.assert_allclose(cheapest(costs), brute, atol=1e-12)
    for cost, best in zip(costs, brute, strict=True):
        columns = choose(cost)
        assert sorted(columns) == list(range(n))
        assert cost[rows, columns].sum() == pytest.approx(best, abs=1e-12)


@given(st.integers(6, 9), seeds)
def test_equals_scipy_where_brute_force_is_too_long(n, seed):
    from scipy.optimize import linear_sum_assignment

    cost = np.random.default_rng(seed).random((n, n))
    expected = cost[linear_sum_assignment(cost)].sum()
    assert cheapest(cost[None])[0] == pytest.approx(expected)
    assert cost[np.arange(n), choose(cost)].sum() == pytest.approx(expected)


@given(st.integers(3, 6), seeds, st.booleans())
def test_one_matrix_in_plain_numbers_has_the_sums_of_many_in_arrays(n, seed, ties):
    rng = np.random.default_rng(seed)
    cost = rng.integers(0, 3, (n, n)) / 10 if ties else rng.random((n, n))
    np.testing.assert_array_equal(_best_of_few(cost.tolist()), _best_by_subset(cost[None])[:, 0])


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_equally_cheap_ones_the_last_row_gets_the_first_column(n):
    assert choose(np.ones((n, n))).tolist() == list(reversed(range(n)))
