"""Lists of peaks before a sequence: a pattern that is asked for, as tokens of the prompt.

Of each list that is there the first token tells between which 1/d peaks were looked for, then one a peak stands, in the
order of 1/d: what a measurement shows and what it could have shown. The sequence follows (``prompt.py``).

A peak is told by waves of 1/d, from one that turns once in 2 1/Angstrom to one that does in 1/256 (a peak's breadth),
by 1/d^2, which is linear in the metric of the reciprocal lattice, by ln(1/d), which moves with the logarithms of the
edges that models draw, and by root and logarithm of its intensity.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from unigen.batch import PeakBatch
from unigen.errors import UserError
from unigen.nn.conditions.prompt import Prompt
from unigen.shapes import Float

_WAVES = tuple(2.0**power for power in range(-1, 9))
"""Turns an 1/Angstrom."""

_NEAR = 0.01
"""1/Angstrom below which no peak stands: the logarithm of padding."""

_FAINT = 1e-3
"""Relative intensity below which the logarithm tells no more."""


class PeakPrompt(nn.Module):
    """See the module's docstring.

    Args:
        width: of the backbone.
    """

    waves: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("waves", torch.tensor(_WAVES), persistent=False)
        features = 2 * len(_WAVES) + 3
        self.peak = nn.Sequential(nn.Linear(features + 2, width), nn.SiLU(), nn.Linear(width, width))
        self.looked = nn.Sequential(nn.Linear(2 * features, width), nn.SiLU(), nn.Linear(width, width))

    def tokens(self, peaks: PeakBatch) -> Float[Tensor, "batch positions width"]:
        """What stands before each sequence, right-padded: the range, then the peaks."""
        log = peaks.intensity.clamp(min=_FAINT).log() / math.log(_FAINT)
        heights = torch.stack([peaks.intensity.sqrt(), log], dim=-1)
        each = self.peak(torch.cat([self._places(peaks.place), heights], dim=-1))
        return torch.cat([self.looked(self._places(peaks.looked).flatten(1))[:, None], each], dim=1)

    def told(self, peaks: PeakBatch) -> Prompt:
        """Lists of peaks as what stands before sequences; they have no place in the crystal."""
        return Prompt(self.tokens(peaks), peaks.lengths)

    def _places(self, place: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch features"]:
        phase = 2 * math.pi * place[..., None] * self.waves
        log = place.clamp(min=_NEAR).log()
        return torch.cat([phase.sin(), phase.cos(), torch.stack([place, place**2, log], dim=-1)], dim=-1)


def told_peaks(prompt: PeakPrompt | None, peaks: PeakBatch | None) -> Prompt | None:
    """What stands before each sequence of a model that may hear peaks; None: nothing does.

    Raises:
        UserError: peaks, and nothing that reads them.
    """
    if peaks is None:
        return None
    if prompt is None:
        raise UserError("this model hears no peaks", wanted="a model trained with model.peaks=24")
    return prompt.told(peaks)
