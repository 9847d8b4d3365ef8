"""The tensor containers that all families share.

| field        | shape              | unit, meaning                                                       |
|--------------|--------------------|---------------------------------------------------------------------|
| symbols      | (batch, tokens)    | vocabulary index; PAD beyond the end, SLOT where a vector stands    |
| vectors      | (batch, tokens, 6) | lattice: ln Angstrom, radians; fractional: cell units, first three  |
| channel      | (batch, tokens)    | Channel; SYMBOL beyond the end                                      |
| descriptor   | (batch, tokens, 3) | atomic number, index among its element, count of its element        |
| lengths      | (batch,)           | positions in use                                                    |

What a family's batch holds beside these stands in its own ``batch.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from unigen.shapes import Bool, Float, Int


@dataclass(frozen=True, eq=False)
class Layout:
    """Where sequences lie in a right-padded batch: causal, so padding needs no mask.

    Attributes:
        position: (batch, tokens) index within its own sequence.
        lengths: (batch,) positions in use.
    """

    position: Int[Tensor, "batch tokens"]
    lengths: Int[Tensor, "batch"]

    @classmethod
    def padded(cls, lengths: Int[Tensor, "batch"], max_len: int) -> Layout:
        """Every sequence starts at column 0."""
        return cls(torch.arange(max_len, device=lengths.device).expand(len(lengths), -1), lengths)

    @property
    def valid(self) -> Bool[Tensor, "batch tokens"]:
        """Which positions are in use."""
        return self.position < self.lengths[:, None]


Rows = TypeVar("Rows", bound="TensorRows")  # not Self: what checks shapes in tests cannot read it on a method


@dataclass(frozen=True, eq=False)
class TensorRows:
    """Tensors, and containers of tensors, that share their first axis."""

    def to(self: Rows, device: torch.device | str, *, non_blocking: bool = True) -> Rows:  # noqa: PYI019 - see Rows
        """The same rows on a device."""
        return type(self)(**{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)})

    def select(self: Rows, rows: Tensor) -> Rows:  # noqa: PYI019
        """Some of the rows."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return type(self)(
            **{name: part.select(rows) if isinstance(part, TensorRows) else part[rows] for name, part in parts.items()}
        )


@dataclass(frozen=True, eq=False)
class TokenBatch(TensorRows):
    """Sequences, right-padded; see the table of fields above."""

    symbols: Int[Tensor, "batch tokens"]
    vectors: Float[Tensor, "batch tokens 6"]
    channel: Int[Tensor, "batch tokens"]
    descriptor: Int[Tensor, "batch tokens 3"]
    lengths: Int[Tensor, "batch"]

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
