"""Confidence intervals of rates and means by the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.shapes import Bool, Float

BLOCK = 50
"""Resamples drawn at once: bounds the memory of ten thousand items to a few megabytes."""


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
    """Mean of each column over its known items, with a percentile bootstrap interval.

    Items (rows) are resampled with replacement, the same rows for every column. NaN is not an item of that column
    (an unmatched crystal has no RMSE), so a mean over the matched carries the uncertainty of which ones matched.
    """
    if not columns:
        return {}
    values = np.column_stack([np.asarray(column, dtype=np.float64) for column in columns.values()])
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)
    drawn = _resampled_means(filled, known.astype(np.float64), resamples, np.random.default_rng(seed))
    tail = (1 - confidence) / 2
    return {name: _metric(filled[:, k], known[:, k], drawn[:, k], (tail, 1 - tail)) for k, name in enumerate(columns)}


def median_with_interval(values: Float[np.ndarray, "items"], *, resamples: int, confidence: float, seed: int) -> Metric:
    """Median over the known items (NaN is none), with a percentile bootstrap interval over these items."""
    known = values[np.isfinite(values)]
    if not len(known):
        return Metric(None)
    rng = np.random.default_rng(seed)
    drawn = [np.median(rng.choice(known, len(known))) for _ in range(resamples)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, (tail, 1 - tail))
    return Metric(float(np.median(known)), float(low), float(high), len(known))


def _resampled_means(
    filled: Float[np.ndarray, "items columns"],
    known: Float[np.ndarray, "items columns"],
    resamples: int,
    rng: np.random.Generator,
) -> Float[np.ndarray, "resamples columns"]:
    items = len(filled)
    if not items:
        return np.full((resamples, filled.shape[1]), np.nan)
    blocks = []
    for start in range(0, resamples, BLOCK):
        times = rng.multinomial(items, np.full(items, 1 / items), size=min(BLOCK, resamples - start)).astype(float)
        total, count = times @ filled, times @ known
        blocks.append(np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0))
    return np.concatenate(blocks)


def _metric(filled: np.ndarray, known: np.ndarray, drawn: np.ndarray, tails: tuple[float, float]) -> Metric:
    count = int(known.sum())
    if not count:
        return Metric(None)
    drawn = drawn[np.isfinite(drawn)]
    low, high = np.quantile(drawn, tails) if len(drawn) else (None, None)
    return Metric(
        float(filled.sum() / count),
        None if low is None else float(low),
        None if high is None else float(high),
        count,
    )
