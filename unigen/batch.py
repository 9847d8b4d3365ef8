"""The tensor containers that all families share.

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| symbols      | (batch, tokens)    | vocabulary index; PAD beyond the end, SLOT where a vector stands    |
| vectors      | (batch, tokens, 6) | lattice: ln Angstrom, radians; fractional: cell units, first three  |
| channel      | (batch, tokens)    | Channel; SYMBOL beyond the end                                      |
| descriptor   | (batch, tokens, 3) | atomic number, index among its element, count of its element        |
| lengths      | (batch,)           | positions in use                                                    |

What a family's batch holds beside these stands in its own ``batch.py``. A ``TokenBatch`` may hold a ``PeakBatch``,
lists of peaks that stand before its sequences:

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| place        | (batch, peaks)     | 1/d in 1/Angstrom, ascending; 0 beyond the end                      |
| intensity    | (batch, peaks)     | relative to the strongest                                           |
| looked       | (batch, 2)         | 1/d between which peaks were looked for                             |
| lengths      | (batch,)           | positions that are taken: one for the range, one a peak; 0: no list |
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unigen.shapes import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Layout:
    """Where sequences lie: a row each, padded on the right (causal, so no mask), or one behind the other in one row.

    Attributes:
        position: (batch, tokens) index within its own sequence; packed, (1, tokens).
        lengths: (sequences,) positions in use.
        is_packed: whether all sequences lie in one row.
        looks_ahead: whether a token of a padded layout sees all of its sequence, not what stands before it alone; only
            attention can.
        places: (batch, tokens, 2, 3) where in space each token of a padded layout looks from, and where it lies, in
            periods along each axis; None where tokens have no place.
    """

    position: Int[Tensor, "batch tokens"]
    lengths: Int[Tensor, "sequences"]
    is_packed: bool = False
    looks_ahead: bool = False
    places: Float[Tensor, "batch tokens 2 3"] | None = None

    @classmethod
    def padded(cls, lengths: Int[Tensor, "batch"], max_len: int) -> Layout:
        """Every sequence starts at column 0."""
        return cls(torch.arange(max_len, device=lengths.device).expand(len(lengths), -1), lengths)

    @classmethod
    def packed(cls, lengths: Int[Tensor, "sequences"]) -> Layout:
        """Every sequence starts where the one before it ends."""
        ends = lengths.cumsum(0)
        index = torch.arange(int(lengths.sum()), device=lengths.device)
        return cls((index - (ends - lengths).repeat_interleave(lengths))[None], lengths, is_packed=True)

    @property
    def valid(self) -> Bool[Tensor, "batch tokens"]:
        """Which positions of a padded layout are in use."""
        return self.position < self.lengths[:, None]

    @property
    def cu_seqlens(self) -> Int[Tensor, "boundaries"]:
        """Where each packed sequence begins, and the last one ends: what kernels for packed sequences ask for."""
        return functional.pad(self.lengths.cumsum(0), (1, 0))

    def to_rows(self, x: Float[Tensor, "1 tokens width"]) -> tuple[Float[Tensor, "sequences longest width"], Layout]:
        """Packed sequences as rows, padded with zeros, and their layout."""
        layout = Layout.padded(self.lengths, int(self.lengths.max()))
        rows = x.new_zeros(*layout.position.shape, x.shape[-1])
        return rows.index_put((self._sequence, self.position[0]), x[0]), layout

    def from_rows(self, rows: Float[Tensor, "sequences longest width"]) -> Float[Tensor, "1 tokens width"]:
        """The other way round."""
        return rows[self._sequence, self.position[0]][None]

    @property
    def _sequence(self) -> Int[Tensor, "tokens"]:
        return torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(self.lengths)


Rows = TypeVar("Rows", bound="TensorRows")  # not Self: what checks shapes in tests cannot read it on a method


@dataclass(frozen=True, eq=False)
class TensorRows:
    """Tensors, and containers of tensors, that share their first axis."""

    def to(self: Rows, device: torch.device | str, *, non_blocking: bool = True) -> Rows:  # noqa: PYI019 - see Rows
        """The same rows on a device."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{
                name: None if part is None else part.to(device, non_blocking=non_blocking)
                for name, part in parts.items()
            }
        )

    def select(self: Rows, rows: Tensor | slice) -> Rows:  # noqa: PYI019
        """Some of the rows; of a slice views, nothing is copied."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(**{name: None if part is None else _selected(part, rows) for name, part in parts.items()})


def _selected(part: Tensor | TensorRows, rows: Tensor | slice) -> Tensor | TensorRows:
    return part.select(rows) if isinstance(part, TensorRows) else part[rows]


@dataclass(frozen=True, eq=False)
class PeakBatch(TensorRows):
    """Lists of peaks, right-padded; see the second table above."""

    place: Float[Tensor, "batch peaks"]
    intensity: Float[Tensor, "batch peaks"]
    looked: Float[Tensor, "batch 2"]
    lengths: Int[Tensor, "batch"]

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, eq=False)
class TokenBatch(TensorRows):
    """Sequences, right-padded; see the table of fields above.

    Attributes:
        peaks: what stands before them; None: nothing does.
    """

    symbols: Int[Tensor, "batch tokens"]
    vectors: Float[Tensor, "batch tokens 6"]
    channel: Int[Tensor, "batch tokens"]
    descriptor: Int[Tensor, "batch tokens 3"]
    lengths: Int[Tensor, "batch"]
    peaks: PeakBatch | None = None

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def layout(self) -> Layout:
        """The layout of these sequences."""
        return Layout.padded(self.lengths, self.symbols.shape[1])


def pad(arrays: list[np.ndarray], length: int) -> Tensor:
    """Stack arrays along a new first axis, each padded with zeros to ``length``."""
    out = np.zeros((len(arrays), length, *arrays[0].shape[1:]), dtype=arrays[0].dtype)
    for row, array in zip(out, arrays, strict=True):
        row[: len(array)] = array
    return torch.from_numpy(out)
