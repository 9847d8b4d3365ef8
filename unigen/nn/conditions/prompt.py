"""What stands before sequences, whatever it tells: embedded rows, behind which each position knows all of its own row.

A row of which nothing is told is the sequence as it is: nothing stands before it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from unigen.batch import Layout, TensorRows
from unigen.nn.mixers.backbone import Backbone
from unigen.shapes import Float, Int


@dataclass(frozen=True, eq=False)
class Prompt(TensorRows):
    """Embedded positions that stand before each row, right-padded.

    Attributes:
        x: of the positions.
        lengths: positions in use; 0: nothing stands before this row.
        places: where in space each looks from, and where it lies (``Layout.places``); None: they have no place, and
            stand at 0 among those that have one, as symbols do.
    """

    x: Float[Tensor, "batch positions width"]
    lengths: Int[Tensor, "batch"]
    places: Float[Tensor, "batch positions 2 3"] | None = None

    def before(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout
    ) -> tuple[Float[Tensor, "batch longer width"], Layout]:
        """Embedded sequences with this before them, and how they lie then.

        Args:
            x: of a padded layout.
            layout: of the sequences alone.
        """
        rows, index = _joined(self.lengths, self.x.shape[1], x.shape[1])
        joined = torch.cat([self.x.to(x.dtype), x], dim=1)[rows, index]
        longer = Layout.padded(layout.lengths + self.lengths, joined.shape[1])
        if layout.places is not None:
            shape = (*self.x.shape[:2], *layout.places.shape[2:])
            places = layout.places.new_zeros(shape) if self.places is None else self.places.to(layout.places.dtype)
            longer = replace(longer, places=torch.cat([places, layout.places], dim=1)[rows, index])
        return joined, longer

    def then(self, other: Prompt) -> Prompt:
        """This, and another one behind it in each row."""
        places = None
        if self.places is not None or other.places is not None:
            nowhere = (each.x.new_zeros(*each.x.shape[:2], 2, 3) for each in (self, other))
            parts = zip((self.places, other.places), nowhere, strict=True)
            places = torch.cat([zeros if known is None else known for known, zeros in parts], dim=1)
        rows, index = _joined(self.lengths, self.x.shape[1], other.x.shape[1])
        return Prompt(
            torch.cat([self.x, other.x.to(self.x.dtype)], dim=1)[rows, index],
            self.lengths + other.lengths,
            None if places is None else places[rows, index],
        )


def read_behind(
    backbone: Backbone, prompt: Prompt | None, x: Float[Tensor, "batch tokens width"], layout: Layout
) -> Float[Tensor, "batch tokens width"]:
    """The backbone's output at all positions of sequences behind what stands before them; None: nothing does."""
    if prompt is None:
        return backbone(x, layout)
    longer, whole = prompt.before(x, layout)
    return behind(backbone(longer, whole), prompt.lengths, x.shape[1])


def behind(
    h: Float[Tensor, "batch longer width"], lengths: Int[Tensor, "batch"], tokens: int
) -> Float[Tensor, "batch tokens width"]:
    """The output at the positions of the sequences alone.

    Args:
        h: at all positions.
        lengths: of what stands before each.
        tokens: of the longest sequence.
    """
    index = lengths[:, None] + torch.arange(tokens, device=h.device)
    return h[torch.arange(len(h), device=h.device)[:, None], index]


def _joined(
    lengths: Int[Tensor, "batch"], most: int, tokens: int
) -> tuple[Int[Tensor, "batch 1"], Int[Tensor, "batch longer"]]:
    """Where each position of the joined rows stands among ``most`` padded ones and ``tokens`` behind these."""
    place = torch.arange(most + tokens, device=lengths.device).expand(len(lengths), -1)
    index = torch.where(place < lengths[:, None], place, place - lengths[:, None] + most)
    rows = torch.arange(len(lengths), device=lengths.device)[:, None]
    return rows, index.clamp(max=most + tokens - 1)  # beyond the end stands padding, which nobody looks at
