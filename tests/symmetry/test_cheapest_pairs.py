import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from unigen.symmetry.nearest_setting import cheapest_pairs


@given(st.integers(1, 12), st.integers(0, 10_000), st.booleans())
def test_pairs_cost_what_scipy_finds(n, seed, coarse):
    cost = np.random.default_rng(seed).random((n, n))
    cost = np.round(3 * cost) if coarse else cost  # equal costs too
    pairs = cheapest_pairs(cost)
    assert sorted(pairs.tolist()) == list(range(n))
    rows, columns = linear_sum_assignment(cost)
    np.testing.assert_allclose(cost[np.arange(n), pairs].sum(), cost[rows, columns].sum())
