"""Numbers of a report: means and medians with bootstrap intervals, and distances between distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unigen.shapes import Bool, Float

BLOCK = 50
"""Resamples drawn at once: 50 of ten thousand items are 4 megabytes; all 1,000 would be 80."""


@dataclass(frozen=True)
class Metric:
    """One number of a report.

    Attributes:
        value: the number; None where nothing was there to compute it from.
        low: lower end of the 95 % interval, where one is computed.
        high: upper end.
        n: items it is a mean over.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0


def means_with_intervals(
    columns: dict[str, Float[np.ndarray, "items"] | Bool[np.ndarray, "items"]],
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> dict[str, Metric]:
    """Mean of each column over its items, with a percentile bootstrap interval.

    Rows are resampled with replacement, the same rows for every column. NaN is not an item of that column (an unmatched
    crystal has no RMSE), so a mean over the matched carries the uncertainty of which ones matched.
    """
    if not columns:
        return {}
    values = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    is_item = np.isfinite(values)
    filled = np.where(is_item, values, 0.0)
    drawn = _resampled_means(filled, is_item.astype(np.float64), resamples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    metrics = {}
    for column, name in enumerate(columns):
        count, means = int(is_item[:, column].sum()), drawn[:, column]
        means = means[np.isfinite(means)]  # a resample may hold no item of this column
        low, high = np.quantile(means, (tail, 1 - tail)).tolist() if len(means) else (None, None)
        metrics[name] = Metric(float(filled[:, column].sum() / count), low, high, count) if count else Metric(None)
    return metrics


def _resampled_means(
    filled: Float[np.ndarray, "items columns"],
    is_item: Float[np.ndarray, "items columns"],
    resamples: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "resamples columns"]:
    items = len(filled)
    if not items:
        return np.full((resamples, filled.shape[1]), np.nan)
    blocks = []
    for start in range(0, resamples, BLOCK):
        # how often each row is drawn: the same as drawing rows one by one, and all columns' sums in one product
        times = rng.multinomial(items, np.full(items, 1 / items), size=min(BLOCK, resamples - start)).astype(float)
        total, count = times @ filled, times @ is_item
        blocks.append(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))
    return np.concatenate(blocks)


def median_with_interval(values: Float[np.ndarray, "items"], *, resamples: int, confidence: float, seed: int) -> Metric:
    """Median over the items (NaN is none), with a percentile bootstrap interval over these items."""
    items = values[np.isfinite(values)]
    if not len(items):
        return Metric(None)
    rng = np.random.default_rng(seed)
    drawn = [np.median(rng.choice(items, len(items))) for _ in range(resamples)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Metric(float(np.median(items)), float(low), float(high), len(items))


def wasserstein(samples: Sequence[float], references: Sequence[float]) -> float | None:
    """Earth mover's distance between two sets of numbers, in their unit; None where either is empty."""
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(samples, references)) if len(samples) and len(references) else None


def total_variation(first: Float[np.ndarray, "classes"], second: Float[np.ndarray, "classes"]) -> float:
    """Half the sum of the absolute differences of two distributions over the same classes: between 0 and 1."""
    return float(np.abs(first - second).sum() / 2)


def mean_absolute_differences(
    values: Float[np.ndarray, "values"], others: Float[np.ndarray, "others"]
) -> Float[np.ndarray, "values"]:
    """Mean of |value - other| over all others, for each value; in order n log n.

    Example:
        >>> mean_absolute_differences(np.array([1.0]), np.array([0.0, 4.0])).tolist()
        [2.0]
    """
    ordered = np.sort(others)
    total = np.concatenate([[0.0], np.cumsum(ordered)])
    below = np.searchsorted(ordered, values)
    above = len(ordered) - below
    # sums of value - other over those below, and of other - value over those above
    return (values * below - total[below] + (total[-1] - total[below]) - values * above) / len(ordered)
