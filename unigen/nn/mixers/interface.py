"""What a token mixer is: any causal operator that moves information between positions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from unigen.batch import Layout
from unigen.shapes import Float, Int

State = dict[str, Tensor]
"""A mixer's memory: batch-first tensors owned by the caller, so picking rows is ``{k: v[rows]}``."""


class TokenMixer(nn.Module, ABC):
    """Causal map (batch, tokens, width) -> same, computable all at once or one position at a time.

    Every mixer is ``y_i = output(x_i, sum_j W_ij(x) v_j)`` with an interaction W that ``operator`` writes out.

    Laws, tested for every mixer (``unigen.testing``): prefill then steps equals the full forward; packed or padded,
    each sequence of a batch is as alone; no position depends on a later one; picking rows of the state commutes with
    stepping; a state that was stepped from can be stepped from again; several steps at once are so many steps;
    ``operator`` applied to ``values`` gives the layer.

    Attributes:
        rewinds: whether a state can be stepped from at any earlier position: what was written from there on counts no
            more. What sums up all positions cannot.
    """

    rewinds: ClassVar[bool] = False

    def forward(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """All positions at once; writes what ``step`` will need into ``state`` when one is given (a row a sequence).

        Packed sequences are laid side by side for the mixing alone: what no mixer sees cannot leak, and all else of a
        network works on packed tokens.
        """
        assert layout.places is None or not layout.is_packed, "packed tokens have no places"
        if not layout.is_packed:
            return self.mix(x, layout, state)
        rows, side_by_side = layout.to_rows(x)
        return layout.from_rows(self.mix(rows, side_by_side, state))

    @abstractmethod
    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """``forward`` of padded sequences; the state is what it is after ``layout.lengths`` positions of each row."""

    @abstractmethod
    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """One position a row, which may differ between rows; returns the output and the new state.

        The given state can be stepped from again: it is not changed, or only where a later step writes anyway.
        """

    def steps(
        self,
        x: Float[Tensor, "batch tokens width"],
        position: Int[Tensor, "batch"],
        state: State,
        places: Float[Tensor, "batch tokens 2 3"] | None = None,
    ) -> tuple[Float[Tensor, "batch tokens width"], State]:
        """``step`` of so many positions of each row, from ``position`` on, and the state behind the last.

        Args:
            x: what stands there.
            position: of the first of each row.
            state: as of ``step``.
            places: of tokens that have them (``Layout.places``); most mixers do not look at them.
        """
        del places
        outputs = []
        for index, token in enumerate(x.unbind(1)):
            y, state = self.step(token, position + index, state)
            outputs.append(y)
        return torch.stack(outputs, 1), state

    @abstractmethod
    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """An empty memory for ``batch`` rows, on the device and with the dtype of ``like``."""

    @abstractmethod
    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """What is moved, (batch, heads, sources, head_width); a position is one source, or some one after the other."""

    @abstractmethod
    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """The interaction as a matrix, (batch, heads, tokens, sources): output i takes from value j."""

    @abstractmethod
    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """The layer of ``operator @ values``, (batch, tokens, heads, head_width): the gate and what comes after it."""


def precise(*tensors: Tensor) -> tuple[Tensor, ...]:
    """In single precision at least: sums over time of 8-bit numbers would be noise."""
    return tuple(tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors)
