"""Springs from an atom that is being drawn to the nearest placed ones: how far it is from where they want it.

A diffusion head that knows its surroundings only through one vector has to solve geometry from memory: where is the
point 1.5 Angstrom from this atom and 2.5 from those two? So at every noise level it also sees, for several learned
rest lengths L and strengths a that each pair of atoms has, how the noisy point x is pulled:

    ``pull_r(x, sigma) = sum_j a_jr tanh((L_jr - |x - x_j|) / sqrt(sigma^2 + s^2)) (x - x_j) / |x - x_j|``

The sum of directions times numbers that do not turn turns with the molecule, as the frame does in which x is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unigen.shapes import Bool, Float, Int

SPRINGS = 8
"""Springs between the drawn atom and each of its neighbours: lengths that begin 0.4 Angstrom apart."""

PULLS = 3 * SPRINGS
"""Numbers that ``Springs.pulls`` gives."""

_SHARPEST = 0.02
"""s in Angstrom: how sharp a length is at most; the placed atoms themselves are only known to ``context_noise``,
0.03."""


@dataclass(frozen=True, eq=False)
class Springs:
    """Springs of some slots.

    Attributes:
        ends: placed atoms, as the slot's frame sees them, Angstrom.
        lengths: at rest, Angstrom.
        strengths: 0 where there is no atom.
    """

    ends: Float[Tensor, "slots neighbours 3"]
    lengths: Float[Tensor, "slots neighbours springs"]
    strengths: Float[Tensor, "slots neighbours springs"]

    def of(self, slots: Bool[Tensor, "slots"] | Int[Tensor, "some"]) -> Springs:
        """Those of some slots, by a mask or by their numbers."""
        return Springs(self.ends[slots], self.lengths[slots], self.strengths[slots])

    def repeated(self, times: int) -> Springs:
        """All slots, so many times."""
        return Springs(*(part.repeat(times, 1, 1) for part in (self.ends, self.lengths, self.strengths)))

    def pulls(self, x: Float[Tensor, "slots 3"], sigma: Float[Tensor, "slots"]) -> Float[Tensor, "slots pulls"]:
        """How x is pulled; of order 1 at every noise level."""
        separation = x[:, None] - self.ends
        # 1e-6: smooth where x lies on an atom, and a thousandth of an Angstrom there
        distance = (separation.square().sum(-1, keepdim=True) + 1e-6).sqrt()
        scale = (sigma.square() + _SHARPEST**2).rsqrt()[:, None, None]
        force = self.strengths * torch.tanh((self.lengths - distance) * scale)
        return torch.bmm(force.transpose(1, 2), separation / distance).flatten(1)
