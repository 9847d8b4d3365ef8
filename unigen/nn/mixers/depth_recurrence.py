"""One block applied again and again to its own output: depth without weights.

    h_1 = block(x), h_(i+1) = block(h_i + g * x)

After Dehghani et al. 2019 (Universal Transformers) and Geiping et al. 2025, "Scaling up test-time compute with latent
reasoning", section 3: the input is injected each time, and training draws how often. The gain g, a number a channel
(LayerScale, Touvron et al. 2021), begins with zero.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from unigen.batch import Layout
from unigen.nn.mixers.block import Block
from unigen.nn.mixers.interface import State


class DepthRecurrence(nn.Module):
    """See the module's docstring.

    The state holds that of the block once for each time, as ``0.name``, ``1.name``, ...

    Args:
        block: with the weights.
        width: of the layer.
        times: how often it is applied; in training, drawn anew for each batch from 2 to this.
    """

    block: Block

    def __init__(self, block: Block, width: int, times: int) -> None:
        super().__init__()
        self.block, self.times = block, times
        self.gain = nn.Parameter(torch.zeros(width)) if times > 1 else None

    def forward(self, x: Tensor, layout: Layout, state: State | None) -> Tensor:
        """All positions."""
        h = x
        for turn in range(self.draw_times()):
            inner = None if state is None else _of_turn(state, turn)
            h = self.block(self._injected(h, x, turn), layout, inner)
            if state is not None and inner is not None:
                state |= _named(inner, turn)
        return h

    def draw_times(self) -> int:
        """How often the block is applied now."""
        if not self.training or self.times <= 2:
            return self.times
        # two at least: once would leave the gain out, and every step of training moves every weight
        return int(torch.randint(2, self.times + 1, ()))

    def steps(self, x: Tensor, position: Tensor, state: State, places: Tensor | None = None) -> tuple[Tensor, State]:
        """Some positions of each row, behind those of the state."""
        h = x
        after: State = {}
        for turn in range(self.times):
            h, inner = self.block.steps(self._injected(h, x, turn), position, _of_turn(state, turn), places)
            after |= _named(inner, turn)
        return h, after

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """The block's empty memory, once for each time."""
        empty: State = {}
        for turn in range(self.times):
            empty |= _named(self.block.init_state(batch, max_len, like), turn)
        return empty

    def _injected(self, h: Tensor, x: Tensor, turn: int) -> Tensor:
        return h if turn == 0 or self.gain is None else h + self.gain * x


def _named(state: State, turn: int) -> State:
    return {f"{turn}.{name}": tensor for name, tensor in state.items()}


def _of_turn(state: State, turn: int) -> State:
    prefix = f"{turn}."
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
