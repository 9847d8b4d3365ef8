"""What a token mixer is: any causal operator that moves information between positions."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from unigen.batch import Layout
from unigen.shapes import Float, Int

State = dict[str, Tensor]
"""A mixer's memory: batch-first tensors owned by the caller, so picking rows is ``{k: v[rows]}``."""


@runtime_checkable
class TokenMixer(Protocol):
    """Causal map (batch, tokens, width) -> same, computable all at once or one position at a time.

    Laws, tested for every mixer: prefill then steps equals the full forward; each sequence of a batch alone equals
    itself in the batch; no position depends on a later one; picking rows of the state commutes with stepping.
    """

    def forward(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """All positions at once; writes what ``step`` will need into ``state`` when one is given."""
        ...

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """One position a row, which may differ between rows; returns the output and the new state."""
        ...

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """An empty memory for ``batch`` rows, on the device and with the dtype of ``like``."""
        ...

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """The interaction as a matrix, (batch, heads, tokens, tokens): output i takes from value j."""
        ...
