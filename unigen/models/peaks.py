"""Powder patterns that are asked for, as the models' families share them: in training, in batches, before drawing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from unigen.batch import PeakBatch, pad
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.peak_noise import as_measured
from unigen.crystals.powder.peaks import PeakList, crystal_peaks
from unigen.errors import UserError

MOST_PEAKS = 256
"""Of a prompt: more than a laboratory's pattern has lines that can be told apart."""

_CALCULATED = 2
"""Peaks calculated a peak shown: of those, a cut range leaves half."""


def shown_peaks(crystal: Crystal, most: int, hidden: float, rng: np.random.Generator) -> PeakList | None:
    """The peaks of a crystal as they stand in its prompt this time, in training; None: they are hidden.

    Args:
        crystal: any cell of it.
        most: peaks.
        hidden: share of crystals whose peaks are hidden.
        rng: chooses, and draws what a measurement does to them.
    """
    if rng.random() < hidden:
        return None
    try:
        peaks = crystal_peaks(crystal, _CALCULATED * most)
    except UserError:  # nobody knows how its elements scatter
        return None
    return as_measured(peaks, most, rng)


def collate_peaks(lists: Sequence[PeakList | None], most: int) -> PeakBatch:
    """Right-pad to the longest; at least one column, so that every batch has the same parts of a network take part.

    Args:
        lists: of each row; None: nothing stands before it.
        most: peaks of a list, the strongest.
    """
    kept = [None if peaks is None else peaks.strongest(most) for peaks in lists]
    longest = max([1, *(0 if peaks is None else len(peaks) for peaks in kept)])
    none = np.zeros(0, dtype=np.float32)
    return PeakBatch(
        place=pad([none if peaks is None else peaks.inverse_d.astype(np.float32) for peaks in kept], longest),
        intensity=pad([none if peaks is None else peaks.intensity.astype(np.float32) for peaks in kept], longest),
        looked=torch.tensor([(0.0, 0.0) if peaks is None else (peaks.low, peaks.high) for peaks in kept]),
        lengths=torch.tensor([0 if peaks is None else 1 + len(peaks) for peaks in kept]),
    )


def asked_peaks(lists: Sequence[PeakList | None], most: int) -> PeakBatch | None:
    """As `collate_peaks`, before drawing; None where no row has a list, or the model hears none."""
    return collate_peaks(lists, most) if most and any(peaks is not None for peaks in lists) else None
