"""Real spherical harmonics up to degree two: how a direction is described so that rotations act linearly on it."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor

from unigen.shapes import Float

COMPONENTS = (1, 3, 5)
"""How many there are of degree 0, 1 and 2."""


def real_harmonics(directions: Float[Tensor, "*rest 3"]) -> Float[Tensor, "*rest 9"]:
    """``C_lm = sqrt(4 pi / (2 l + 1)) Y_lm`` of unit vectors, degree by degree (Racah's normalisation).

    The squares of a degree add up to one; the components of degree 1 are the vector itself.

    Example:
        >>> real_harmonics(torch.tensor([0.0, 0.0, 1.0])).tolist()
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    """
    x, y, z = directions.unbind(-1)
    # Order within the degrees: x, y, z and not m = -1, 0, 1, so that degree 1 is the vector itself.
    two = (sqrt(3) * x * y, sqrt(3) * y * z, sqrt(3) * x * z, sqrt(3) / 2 * (x * x - y * y), (3 * z * z - 1) / 2)
    return torch.stack([torch.ones_like(x), x, y, z, *two], -1)
