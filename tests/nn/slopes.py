"""The slopes of a denoiser by torch's forward-mode derivatives: the reference for those that are written out."""

from __future__ import annotations

import torch
from torch import Tensor

from unigen.nn.process.solvers import Denoiser, DenoiserWithSlopes


def with_slopes(denoise: Denoiser) -> DenoiserWithSlopes:
    """``D`` and ``dD_i / dx_i`` of any denoiser whose rows are independent."""

    def both(x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        def along(direction: Tensor) -> tuple[Tensor, Tensor]:
            return torch.func.jvp(lambda point: denoise(point, sigma), (x,), (direction.expand_as(x),))[:2]

        values, derivatives = torch.func.vmap(along)(torch.eye(x.shape[-1], dtype=x.dtype))
        return values[0], torch.einsum("dsd->sd", derivatives)

    return both
