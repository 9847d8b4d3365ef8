"""Axes that turn with a cloud of points: its principal ones, in all four ways that are rotations.

Puny et al. 2022, "Frame averaging for invariant and equivariant network design": what is averaged over the frames does
not change when the cloud is turned. Where two principal moments are equal, axes are arbitrary; so a weight stands
beside each frame that is zero there and grows smoothly with the gaps (Dym, Lawrence and Siegel 2024: frames without
weights cannot be continuous). Mirror images have other frames: no reflection is among the four.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from unigen.shapes import Float

_FLIPS = ((1.0, 1.0, 1.0), (1.0, -1.0, -1.0), (-1.0, 1.0, -1.0), (-1.0, -1.0, 1.0))
"""Signs of the axes whose product is one."""

_GAP = 0.05
"""Of the sum of the moments: gaps that are as large count half. At half of it rounding in single precision, 1e-7 of the
moments, turns the axes by a hundred-thousandth."""


class Frames(NamedTuple):
    """Axes of clouds of points.

    Attributes:
        axes: columns are principal axes, the largest moment last; four frames a cloud, each a rotation.
        weight: between 0 (two moments are equal) and 1.
    """

    axes: Float[Tensor, "clouds 4 3 3"]
    weight: Float[Tensor, "clouds"]


@torch.no_grad()
def principal_frames(moments: Float[Tensor, "clouds 3 3"]) -> Frames:
    """Frames of clouds by their matrices of second moments, ``sum_i w_i x_i x_i^T`` in any unit.

    Example:
        >>> frames = principal_frames(torch.diag(torch.tensor([1.0, 2.0, 4.0]))[None])
        >>> frames.axes.shape, bool(torch.linalg.det(frames.axes).allclose(torch.ones(1, 4)))
        (torch.Size([1, 4, 3, 3]), True)
    """
    size = moments.diagonal(dim1=-2, dim2=-1).sum(-1).clamp(min=torch.finfo(moments.dtype).tiny)
    values, axes = torch.linalg.eigh(moments / size[:, None, None])
    handed = axes * torch.linalg.det(axes).sign()[:, None, None]
    gaps = values.diff(dim=-1).prod(-1).clamp(min=0)
    flips = torch.tensor(_FLIPS, dtype=moments.dtype, device=moments.device)
    return Frames(handed[:, None] * flips[:, None, :], gaps / (gaps + _GAP**2))
