"""What lies around each atom, as matrices that sum features of the other atoms, weighted by distance and direction.

``G_l[(i m k), j] = R_k(|r_ij|) C_lm(r_ij / |r_ij|)`` with radial functions R and spherical harmonics C: multiplied with
features of the atoms, ``(atoms, channels)``, they give their density around atom i in these functions. They are made
once a molecule and hold no weights: messages between atoms are a matrix product.

Bartok, Kondor and Csanyi 2013, equation 20 (the expansion); Drautz 2019 (products of it describe the surroundings).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unigen.geometry.harmonics import COMPONENTS, real_harmonics
from unigen.shapes import Float, Int

_NEAREST = 0.1
"""Angstrom; nearer atoms count as so far apart: samples may have atoms on top of each other."""

_FIRST = 0.9
"""Angstrom; where the first radial function peaks: no two atoms of a molecule are nearer, but in H2."""


@dataclass(frozen=True, eq=False)
class Surroundings:
    """The matrices of a batch; rows run over atoms, then components, then radial functions.

    Attributes:
        degrees: of degree 0, 1 and 2, the last axis being the other atom.
        toward: degree 1 as a scalar product: the last axis runs over components, then the other atoms.
    """

    degrees: tuple[Float[Tensor, "batch _ atoms"], ...]
    toward: Float[Tensor, "batch _ 3*atoms"]

    def density(
        self, features: Float[Tensor, "batch atoms channels"], degree: int
    ) -> Float[Tensor, "batch atoms _ expanded"]:
        """Density of the features around each atom, component by component of a degree."""
        matrix = self.degrees[degree]
        return torch.bmm(matrix, features).view(*features.shape[:2], COMPONENTS[degree], -1)

    def carried(self, features: Float[Tensor, "batch atoms 3 channels"]) -> Float[Tensor, "batch atoms 3 expanded"]:
        """The same of vectors, by distance alone: vectors again."""
        batch, atoms, _, channels = features.shape
        sums = torch.bmm(self.degrees[0], features.flatten(2)).view(batch, atoms, -1, 3, channels)
        return sums.transpose(2, 3).flatten(3)

    def divergence(self, features: Float[Tensor, "batch atoms 3 channels"]) -> Float[Tensor, "batch atoms expanded"]:
        """How far vectors point away from, or to, each atom."""
        batch, atoms, _, channels = features.shape
        stacked = features.transpose(1, 2).reshape(batch, 3 * atoms, channels)
        return torch.bmm(self.toward, stacked).view(batch, atoms, -1)


def surroundings(
    numbers: Int[Tensor, "batch atoms"], positions: Float[Tensor, "batch atoms 3"], radial: int, cutoff: float
) -> Surroundings:
    """See the module's docstring; atoms of number 0 are not there.

    Args:
        numbers: atomic numbers, padded with 0.
        positions: Angstrom.
        radial: radial functions: Gaussians of the logarithm of the distance, evenly spaced up to the cutoff.
        cutoff: Angstrom; atoms farther away are not seen, and those near it hardly.
    """
    batch, atoms = numbers.shape
    separation = positions[:, None] - positions[:, :, None]
    distance = separation.square().sum(-1).clamp(min=_NEAREST**2).sqrt()
    exists = numbers > 0
    is_self = torch.eye(atoms, dtype=torch.bool, device=numbers.device)
    is_neighbour = exists[:, None] & exists[:, :, None] & (distance < cutoff) & ~is_self
    # Smooth at the cutoff: Behler and Parrinello 2007.
    weight = 0.5 * (torch.cos(math.pi / cutoff * distance) + 1) * is_neighbour
    # Evenly spaced in the logarithm: narrow at bond lengths, wide far away.
    spacing = math.log(cutoff / _FIRST) / (radial - 1)
    centres = math.log(_FIRST) + spacing * torch.arange(radial, device=distance.device)
    functions = torch.exp(-0.5 * ((distance.log()[:, :, None] - centres[:, None]) / spacing) ** 2)
    functions = functions * weight[:, :, None]
    harmonics = real_harmonics(separation / distance[..., None]).movedim(-1, 2)
    parts = (harmonics[:, :, :, None] * functions[:, :, None]).split(COMPONENTS, dim=2)
    toward = functions[:, :, :, None] * harmonics[:, :, None, 1:4]
    return Surroundings(
        tuple(part.reshape(batch, -1, atoms) for part in parts), toward.reshape(batch, atoms * radial, 3 * atoms)
    )
