"""What a layer of a backbone is: a token mixer and a gated feed-forward layer, each a residual branch."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State, TokenMixer
from unigen.shapes import Float


class FeedForward(nn.Module):
    """``W2 (silu(W1 x) * V x)``. Shazeer 2020, equation 6 (SwiGLU).

    Args:
        width: of the layer.
        share: so many of them together have the weights of one.
    """

    def __init__(self, width: int, share: int = 1) -> None:
        super().__init__()
        # 8/3: as many weights as two layers of four times the width (Shazeer 2020), rounded up to 32
        hidden = -(-8 * width // (3 * share) // 32) * 32
        self.up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Float[Tensor, "*batch width"], layout: Layout | None = None) -> Float[Tensor, "*batch width"]:
        """Position by position, those of no sequence like the others."""
        del layout
        gate, value = self.up(x).chunk(2, dim=-1)
        return self.down(functional.silu(gate) * value)


class Block(nn.Module):
    """Pre-norm residual block: mix positions, then transform each."""

    mixer: TokenMixer

    def __init__(self, mixer: TokenMixer, width: int, dropout: float, feed_forward: nn.Module | None = None) -> None:
        super().__init__()
        self.mixer = mixer
        self.feed_forward = feed_forward or FeedForward(width)
        self.mixer_norm = nn.RMSNorm(width)
        self.feed_forward_norm = nn.RMSNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, layout: Layout, state: State | None) -> Tensor:
        """All positions."""
        x = x + self.dropout(self.mixer.forward(self.mixer_norm(x), layout, state))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x), layout))

    def steps(self, x: Tensor, position: Tensor, state: State, places: Tensor | None = None) -> tuple[Tensor, State]:
        """Some positions of each row, behind those of the state."""
        mixed, state = self.mixer.steps(self.mixer_norm(x), position, state, places)
        x = x + mixed
        return x + self.feed_forward(self.feed_forward_norm(x)), state

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """The mixer's empty memory."""
        return self.mixer.init_state(batch, max_len, like)
