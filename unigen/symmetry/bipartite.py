"""The cheapest way to pair n rows with n columns, exactly, in numpy alone and for any n."""

from __future__ import annotations

import numpy as np

from unigen.shapes import Float, Int


def cheapest_pairs(cost: Float[np.ndarray, "n n"]) -> Int[np.ndarray, "n"]:
    """The column of each row in a pairing of least total cost.

    The Hungarian method with potentials u, v and shortest augmenting paths, O(n^3) (Jonker and Volgenant, Computing 38,
    325, 1987): every row in turn is added by a path along which the reduced costs ``cost - u - v`` are least.

    Example:
        >>> cheapest_pairs(np.array([[4.0, 1.0], [2.0, 0.0]])).tolist()
        [1, 0]
    """
    n = len(cost)
    if n <= 2:
        straight = n < 2 or cost[0, 0] + cost[1, 1] <= cost[0, 1] + cost[1, 0]
        return np.arange(n) if straight else np.array([1, 0])
    rows, columns = np.zeros(n + 1), np.zeros(n + 1)
    owner = np.full(n + 1, -1)  # the row of each column; the last column is where a new row starts
    for row in range(n):
        owner[n] = row
        _augment(cost, rows, columns, owner)
    pairs = np.empty(n, dtype=np.int64)
    pairs[owner[:n]] = np.arange(n)
    return pairs


def _augment(
    cost: Float[np.ndarray, "n n"],
    rows: Float[np.ndarray, "n_and_1"],
    columns: Float[np.ndarray, "n_and_1"],
    owner: Int[np.ndarray, "n_and_1"],
) -> None:
    """Give the row that waits in the last column a column of its own, moving others along the shortest path."""
    n = len(cost)
    distance, before = np.full(n, np.inf), np.full(n, n)
    seen = np.zeros(n + 1, dtype=bool)
    column = n
    while owner[column] >= 0:
        seen[column] = True
        row = owner[column]
        reduced = cost[row] - rows[row] - columns[:n]
        shorter = ~seen[:n] & (reduced < distance)
        distance[shorter], before[shorter] = reduced[shorter], column
        column = int(np.where(seen[:n], np.inf, distance).argmin())
        step = distance[column]
        rows[owner[seen]] += step
        columns[seen] -= step
        distance[~seen[:n]] -= step
    while column != n:
        owner[column] = owner[before[column]]
        column = int(before[column])
