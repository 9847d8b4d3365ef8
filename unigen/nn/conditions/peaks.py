"""Lists of peaks before a sequence: a pattern that is asked for, as tokens of the prompt.

Of each list that is there the first token tells between which 1/d peaks were looked for, then one a peak stands, in the
order of 1/d: what a measurement shows and what it could have shown. The sequence follows, in which every position knows
them. A row without a list is the sequence as it is: nothing stands before it.

A peak is told by waves of 1/d, from one that turns once in 2 1/Angstrom to one that does in 1/256 (a peak's breadth),
by 1/d^2, which is linear in the metric of the reciprocal lattice, by ln(1/d), which moves with the logarithms of the
edges that models draw, and by root and logarithm of its intensity.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from unigen.batch import Layout, PeakBatch
from unigen.errors import UserError
from unigen.nn.mixers.backbone import Backbone
from unigen.shapes import Float, Int

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

    def before(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, peaks: PeakBatch
    ) -> tuple[Float[Tensor, "batch longer width"], Layout]:
        """Embedded sequences with their peaks before them, and how they lie then.

        Args:
            x: of a padded layout.
            layout: of the sequences alone.
            peaks: a list a row, empty or not.
        """
        told = self.tokens(peaks).to(x.dtype)
        rows, index = _joined(peaks.lengths, told.shape[1], x.shape[1])
        joined = torch.cat([told, x], dim=1)[rows, index]
        longer = Layout.padded(layout.lengths + peaks.lengths, joined.shape[1])
        if layout.places is not None:  # peaks have no place in the crystal, as symbols have none
            nowhere = layout.places.new_zeros(len(x), told.shape[1], *layout.places.shape[2:])
            longer = replace(longer, places=torch.cat([nowhere, layout.places], dim=1)[rows, index])
        return joined, longer

    def _places(self, place: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch features"]:
        phase = 2 * math.pi * place[..., None] * self.waves
        log = place.clamp(min=_NEAR).log()
        return torch.cat([phase.sin(), phase.cos(), torch.stack([place, place**2, log], dim=-1)], dim=-1)


def read_behind(
    backbone: Backbone,
    prompt: PeakPrompt | None,
    x: Float[Tensor, "batch tokens width"],
    layout: Layout,
    peaks: PeakBatch | None,
) -> Float[Tensor, "batch tokens width"]:
    """The backbone's output at all positions of sequences behind their peaks; None: nothing stands before any.

    Raises:
        UserError: peaks, and nothing that reads them.
    """
    if peaks is None:
        return backbone(x, layout)
    longer, whole = prompt_of(prompt).before(x, layout, peaks)
    return behind(backbone(longer, whole), peaks, x.shape[1])


def prompt_of(prompt: PeakPrompt | None) -> PeakPrompt:
    """What reads the peaks of a model.

    Raises:
        UserError: nothing does.
    """
    if prompt is None:
        raise UserError("this model hears no peaks", wanted="a model trained with model.peaks=24")
    return prompt


def behind(
    h: Float[Tensor, "batch longer width"], peaks: PeakBatch, tokens: int
) -> Float[Tensor, "batch tokens width"]:
    """The output at the positions of the sequences alone, of which the longest has so many."""
    index = peaks.lengths[:, None] + torch.arange(tokens, device=h.device)
    return h[torch.arange(len(h), device=h.device)[:, None], index]


def _joined(
    lengths: Int[Tensor, "batch"], most: int, tokens: int
) -> tuple[Int[Tensor, "batch 1"], Int[Tensor, "batch longer"]]:
    """Where each position of the joined rows stands among ``most`` positions of a list and ``tokens`` behind these."""
    place = torch.arange(most + tokens, device=lengths.device).expand(len(lengths), -1)
    index = torch.where(place < lengths[:, None], place, place - lengths[:, None] + most)
    rows = torch.arange(len(lengths), device=lengths.device)[:, None]
    return rows, index.clamp(max=most + tokens - 1)  # beyond the end stands padding, which nobody looks at
