"""A stack of token mixers and gated feed-forward layers."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.errors import UserError
from unigen.nn.mixers.attention import Attention
from unigen.nn.mixers.interface import State, TokenMixer
from unigen.shapes import Float, Int


def build_mixer(name: str, width: int, heads: int) -> Attention:
    """The mixer of one layer, by name."""
    match name:
        case "attention":
            return Attention(width, heads)
        case _:
            raise UserError(f"model.mixers: unknown mixer {name!r}", wanted="attention")


class FeedForward(nn.Module):
    """``W2 (silu(W1 x) * V x)``. Shazeer 2020, equation 6 (SwiGLU)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # 8/3: as many weights as two layers of four times the width (Shazeer 2020), rounded up to 32
        hidden = -(-8 * width // 3 // 32) * 32
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Position by position."""
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)


class Block(nn.Module):
    """Pre-norm residual block: mix positions, then transform each."""

    mixer: TokenMixer

    def __init__(self, mixer: Attention, width: int, dropout: float) -> None:
        super().__init__()
        self.mixer = mixer
        self.feed_forward = FeedForward(width)
        self.mixer_norm = nn.RMSNorm(width)
        self.feed_forward_norm = nn.RMSNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout, state: State | None) -> Tensor:
        """All positions."""
        x = x + self.dropout(self.mixer.forward(self.mixer_norm(x), layout, state))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))

    def step(self, x: Tensor, position: Tensor, state: State) -> tuple[Tensor, State]:
        """One position a row."""
        mixed, state = self.mixer.step(self.mixer_norm(x), position, state)
        x = x + mixed
        return x + self.feed_forward(self.feed_forward_norm(x)), state

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """The mixer's empty memory."""
        return self.mixer.init_state(batch, max_len, like)


def pick_rows(states: list[State], rows: Int[Tensor, "picked"]) -> list[State]:
    """Some rows of the memories of all blocks, in any order and maybe repeated: copies, so that each may go its way."""
    # index_select: three times as fast as indexing for the memory of attention
    return [{name: tensor.index_select(0, rows) for name, tensor in state.items()} for state in states]


class Backbone(nn.Module):
    """Blocks in order, then a norm (pre-norm: Xiong et al. 2020).

    The state is a list, one entry a block, owned by the caller.
    """

    def __init__(self, mixers: tuple[str, ...], width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(build_mixer(name, width, heads), width, dropout) for name in mixers)
        self.norm = nn.RMSNorm(width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, states: list[State] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """All positions; fills ``states`` when given (prefill)."""
        for index, block in enumerate(self._typed_blocks()):
            x = block(x, layout, states[index] if states is not None else None)
        return self.norm(x)

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], states: list[State]
    ) -> tuple[Float[Tensor, "batch width"], list[State]]:
        """One position a row, after ``forward`` or earlier steps on the same states."""
        after = []
        for block, state in zip(self._typed_blocks(), states, strict=True):
            x, new = block.step(x, position, state)
            after.append(new)
        return self.norm(x), after

    def init_states(self, batch: int, max_len: int, like: torch.Tensor) -> list[State]:
        """Empty states."""
        return [block.init_state(batch, max_len, like) for block in self._typed_blocks()]

    def _typed_blocks(self) -> Iterator[Block]:
        for block in self.blocks:
            assert isinstance(block, Block)
            yield block
