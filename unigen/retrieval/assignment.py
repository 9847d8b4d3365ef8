"""The cheapest way to give n sources to n targets, for many cost matrices at once and exactly, in numpy alone."""

from __future__ import annotations

import numpy as np

from unigen.shapes import Float, Int


def cheapest(costs: Float[np.ndarray, "candidates n n"]) -> Float[np.ndarray, "candidates"]:
    """Least total cost over all n! assignments of columns to rows, for every matrix.

    Dynamic programming over subsets (Held and Karp 1962): with S the columns that the first ``|S|`` rows use,
    ``best(S) = min over j in S of best(S without j) + cost(row |S|, j)``. That is n^2 numpy operations for all
    candidates together, and compositions have few elements of equal count (more than 5 are rare).
    """
    if costs.shape[1] == 1:  # one and two elements of equal count are nearly all there is: written out
        return costs[:, 0, 0]
    if costs.shape[1] == 2:
        return np.minimum(costs[:, 0, 0] + costs[:, 1, 1], costs[:, 0, 1] + costs[:, 1, 0])
    return _best_by_subset(costs)[-1]


def choose(cost: Float[np.ndarray, "n n"]) -> Int[np.ndarray, "n"]:
    """The column that each row gets in a cheapest assignment of one matrix.

    Distances of elements are nearly additive, so two assignments often cost the same up to rounding, and which one is
    taken decides what is generated. So it stays ours: scipy's ``linear_sum_assignment`` takes the other one of
    ``[[1, 1], [1, 1]]``, and de novo crystals change.
    """
    if len(cost) == 1:  # one and two elements of equal count are nearly all there is: written out, fifty times faster
        return np.zeros(1, dtype=np.int64)
    if len(cost) == 2:
        (first, second), (third, fourth) = cost.tolist()
        return np.array([1, 0] if second + third <= first + fourth else [0, 1])
    best = _best_of_few(cost.tolist()) if len(cost) <= _FEW else _best_by_subset(cost[None])[:, 0].tolist()
    columns = np.empty(len(cost), dtype=np.int64)
    subset = len(best) - 1
    for row in reversed(range(len(cost))):
        unused = [column for column in range(len(cost)) if subset >> column & 1]
        totals = [best[subset ^ 1 << column] + cost[row, column] for column in unused]
        columns[row] = unused[int(np.argmin(totals))]
        subset ^= 1 << int(columns[row])
    return columns


_FEW = 6
"""Rows of a single matrix up to which plain numbers are faster than arrays: of three rows thirty times."""


def _best_of_few(costs: list[list[float]]) -> list[float]:
    """The recursion of ``cheapest`` for one matrix: the same sums."""
    n = len(costs)
    best = [0.0] + [np.inf] * ((1 << n) - 1)
    for subset in range((1 << n) - 1):  # ascending: what a subset is made of comes before it
        so_far, row = best[subset], costs[subset.bit_count()]
        for column in range(n):
            after = subset | 1 << column
            if after != subset:
                best[after] = min(best[after], so_far + row[column])
    return best


def _best_by_subset(costs: Float[np.ndarray, "candidates n n"]) -> Float[np.ndarray, "subsets candidates"]:
    """The recursion of ``cheapest``; bit j of a subset is column j, and subsets of one size are done together."""
    n = costs.shape[1]
    subsets = np.arange(1 << n)
    size = np.array([int(subset).bit_count() for subset in subsets])
    best = np.full((1 << n, len(costs)), np.inf)
    best[0] = 0.0
    for row in range(n):
        of_size = subsets[size == row]
        for column in range(n):
            before = of_size[of_size >> column & 1 == 0]
            after = before | 1 << column
            best[after] = np.minimum(best[after], best[before] + costs[:, row, column])
    return best
