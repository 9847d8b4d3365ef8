"""A diagonal complex state-space layer with many inputs and outputs, which begins as HiPPO.

    x' = L x + B u,  y = Re(C x) + D u;  x_t = exp(L dt) x_(t-1) + (exp(L dt) - 1) / L B u_t

Smith et al. 2023, "Simplified state space layers for sequence modeling" (S5), equations 1 and 6. HiPPO-LegS (Gu et al.
2020, theorem 2) is not diagonalisable to any precision; S4D and S5 diagonalise its normal part, whose transfer function
is another one. Perturbed a little it has distinct eigenvalues, and its transfer function is off by about as much: Yu et
al. 2023, "Robustifying state-space models for long sequences via approximate diagonalization", section 4.

| equation    | code           | shape                                       |
|-------------|----------------|---------------------------------------------|
| u, y        | x, output      | (batch, tokens, width)                      |
| exp(L dt)   | decay          | (state_width,) complex                      |
| x           | hidden         | (batch, tokens, state_width) complex        |
| B, C        | to_state, from_state | real and imaginary parts beside each other |
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.interface import State, TokenMixer, precise
from unigen.nn.mixers.linear_scan import linear_scan
from unigen.shapes import Complex, Float, Int

BLOCK = 8
"""States of one HiPPO matrix, of which there are many, as in S5, section 4.3. Eigenvectors of 8 have a condition of
some hundreds, which single precision bears; of 32, tens of thousands."""
PERTURBATION = 0.1
"""Spectral norm of what is added to each: its transfer function is off by 2 to 4 per cent."""


def hippo(size: int) -> tuple[Float[np.ndarray, "size size"], Float[np.ndarray, "size"]]:
    """A and B of HiPPO-LegS: the state holds coefficients of Legendre polynomials of all that was."""
    n = np.arange(size)
    root = np.sqrt(2.0 * n + 1.0)
    return -np.tril(np.outer(root, root), -1) - np.diag(n + 1.0), root


def perturbed_then_diagonalised(
    a: Float[np.ndarray, "size size"], epsilon: float, seed: int
) -> tuple[Complex[np.ndarray, "size"], Complex[np.ndarray, "size size"]]:
    """Eigenvalues and eigenvectors of a + epsilon E with a random E of norm one, in double precision."""
    noise = np.random.default_rng(seed).standard_normal(a.shape)
    values, vectors = np.linalg.eig((a + epsilon * noise / np.linalg.norm(noise, 2)).astype(np.complex128))
    return values, vectors


@lru_cache(maxsize=2)  # each layer asks twice: for shapes, then for numbers
def _blocks(state_width: int) -> tuple[Tensor, Tensor]:
    """Eigenvalues (state_width,) and eigenvectors (blocks, BLOCK, BLOCK) of a diagonal of perturbed HiPPO matrices."""
    a, _ = hippo(BLOCK)
    found = [perturbed_then_diagonalised(a, PERTURBATION, seed) for seed in range(state_width // BLOCK)]
    values, vectors = zip(*found, strict=True)
    return torch.from_numpy(np.concatenate(values)), torch.from_numpy(np.stack(vectors))


class S5(TokenMixer):
    """See the module's docstring.

    The state holds x, (batch, state_width), complex.

    Args:
        width: of the layer.
        state_width: numbers of the state, a multiple of BLOCK.
    """

    def __init__(self, width: int, state_width: int = 64) -> None:
        super().__init__()
        values, vectors = _blocks(state_width)
        self.log_rate = nn.Parameter((-values.real).log().float())
        self.frequency = nn.Parameter(values.imag.float())
        # steps from 0.001 to 0.1, as S5 begins, each for a block
        steps = torch.linspace(math.log(1e-3), math.log(1e-1), state_width // BLOCK)
        self.log_step = nn.Parameter(steps.repeat_interleave(BLOCK))
        self.to_state = nn.Linear(width, 2 * state_width, bias=False)
        self.from_state = nn.Linear(2 * state_width, width, bias=False)
        self.skip = nn.Parameter(torch.ones(width))
        self.to_gate = nn.Linear(width, width)
        with torch.no_grad():
            self._into_eigenvectors(vectors)

    def _into_eigenvectors(self, vectors: Tensor) -> None:
        """B and C, drawn as real ones, seen from the eigenvectors V: V^-1 B and C V."""
        blocks, size, _ = vectors.shape
        if self.to_state.weight.is_meta:
            return
        b = self.to_state.weight[: blocks * size].double().unflatten(0, (blocks, size)).to(vectors.dtype)
        b = torch.view_as_real(torch.linalg.solve(vectors, b)).permute(0, 1, 3, 2)  # (blocks, size, part, width)
        self.to_state.weight.copy_(b.flatten(0, 2))
        c = self.from_state.weight[:, : blocks * size].double().unflatten(1, (blocks, size)).to(vectors.dtype)
        c = torch.einsum("wbi,bij->wbj", c, vectors)
        self.from_state.weight.copy_(torch.stack([c.real, -c.imag], -1).flatten(1))

    def mix(self, x: Float[Tensor, "batch tokens width"], layout: Layout, state: State | None) -> Tensor:
        """See TokenMixer."""
        driven = self.to_state(x)
        with torch.autocast(x.device.type, enabled=False):
            decay, b = self._parts(driven)
            hidden = linear_scan(decay.expand_as(b), b)
        if state is not None:
            state["hidden"] = hidden[torch.arange(len(x), device=x.device), layout.lengths - 1]
        return self.output(x, hidden[..., None])

    def step(
        self, x: Float[Tensor, "batch width"], position: Int[Tensor, "batch"], state: State
    ) -> tuple[Float[Tensor, "batch width"], State]:
        """See TokenMixer."""
        del position
        decay, b = self._parts(self.to_state(x))
        hidden = decay * state["hidden"] + b
        return self.output(x, hidden[..., None]), {"hidden": hidden}

    def init_state(self, batch: int, max_len: int, like: Tensor) -> State:
        """See TokenMixer."""
        del max_len
        (empty,) = precise(like.new_zeros(batch, len(self.frequency), 2))
        return {"hidden": torch.view_as_complex(empty)}

    def values(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: a head for every number of the state."""
        del layout
        return self._parts(self.to_state(x))[1].transpose(1, 2)[..., None]

    def operator(self, x: Float[Tensor, "batch tokens width"], layout: Layout) -> Tensor:
        """See TokenMixer: the same for every input, powers of the eigenvalues."""
        del layout
        decay, _ = self._parts(self.to_state(x))
        place = torch.arange(x.shape[1], device=x.device)
        lag = place[:, None] - place
        return (decay[:, None, None] ** lag.clamp(min=0)).tril().expand(len(x), -1, -1, -1)

    def output(self, x: Float[Tensor, "*batch width"], mixed: Tensor) -> Float[Tensor, "*batch width"]:
        """See TokenMixer."""
        read = torch.view_as_real(mixed[..., 0]).flatten(-2).to(x.dtype)
        y = functional.gelu(self.from_state(read) + self.skip * x)
        return (y * self.to_gate(y).sigmoid()).to(x.dtype)

    def _parts(self, driven: Float[Tensor, "*batch parts"]) -> tuple[Tensor, Tensor]:
        """Factors of the state, (state_width,), and what a token adds to it."""
        driven, step, log_rate, frequency = precise(driven, self.log_step, self.log_rate, self.frequency)
        eigenvalues = torch.complex(-log_rate.exp(), frequency)
        decay = (eigenvalues * step.exp()).exp()
        b = torch.view_as_complex(driven.unflatten(-1, (-1, 2)).contiguous())
        return decay, (decay - 1.0) / eigenvalues * b
