"""How far off a predicted property may be: a scale of the error a structure, and how many of them hold nine of ten.

Beside each value stands the logarithm of the scale of a Laplace distribution of its error, which the same atoms'
features tell without changing them. Once the network is trained, held-out structures say how many of these scales hold
nine errors of ten: split conformal prediction with a scale of the error as the score (Angelopoulos and Bates 2021,
section 2.3, arXiv:2107.07511).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unigen.data.store import Dataset
from unigen.models.interface import PredictingNetwork
from unigen.shapes import Float

COVERAGE = 0.9
"""Share of held-out errors that the error bar holds."""

UNCALIBRATED = -math.log(1 - COVERAGE)
"""Scales of a Laplace distribution that hold so many of its errors: what an error bar is before it is calibrated."""

SMALLEST_LOG_SPREAD = math.log(1e-3)
"""Of the scale of an error, in standard deviations of the property: what was learned by heart is not known exactly."""


ERROR_BARS = "error_bars"
"""The name of their loss, and of the part of a network that is trained alone for them."""


_SMALLEST_FACTOR = 1e-6
"""Of a property that is known exactly, such as the number of electrons: 0 stands for what is not known."""


def laplace_nats(error: Float[Tensor, "*structures"], log_spread: Float[Tensor, "*structures"]) -> Tensor:
    """Minus the log density of errors, up to a constant; gradients go to the scales alone."""
    return error.detach() * (-log_spread).exp() + log_spread


def means_of_known(
    x: Float[Tensor, "structures properties"], values: Float[Tensor, "structures properties"]
) -> Float[Tensor, "properties"]:
    """Of each property over the structures whose value is known (not NaN); zero where none is."""
    is_known = ~values.isnan()
    return torch.where(is_known, x, 0.0).sum(0) / is_known.sum(0).clamp(min=1)


def conformal_factors(
    ratios: Float[np.ndarray, "structures properties"], properties: Sequence[str]
) -> Float[Tensor, "properties"]:
    """By what an error bar of one scale is to be multiplied; 0, and said, where too little is known to tell.

    Args:
        ratios: errors of held-out structures in their scales, NaN where no value is known.
        properties: their names.
    """
    factors = torch.zeros(len(properties))
    for place, column in enumerate(ratios.T):
        known = np.sort(column[np.isfinite(column)])
        # the smallest factor that holds so many of one error more
        rank = int(np.ceil(COVERAGE * (len(known) + 1))) - 1
        if rank < len(known):
            factors[place] = max(float(known[rank]), _SMALLEST_FACTOR)
        else:  # of fewer than nine no factor is known to be enough
            print(  # noqa: T201 - of a training, as its other lines
                f"{properties[place]}: no error bars, as {len(known)} held-out values are known; nine are needed"
            )
    return factors


@torch.no_grad()
def calibrate(
    network: PredictingNetwork,
    calibration: Float[Tensor, "properties"],
    held_out: Dataset,
    known: Float[np.ndarray, "structures properties"],
    predict: Callable[[list[Any]], tuple[Tensor, Tensor]],
    batch_size: int,
) -> None:
    """Tell a trained network by what factors its error bars hold nine errors of ten of held-out structures.

    Args:
        network: that is told.
        calibration: its factors, **overwritten**.
        held_out: structures; those with an element that the network has not seen are left out.
        known: their values of every property, NaN where unknown.
        predict: values and error bars of some of them, every property, once all factors are 1.
        batch_size: structures at once.
    """
    network.eval()
    calibration.fill_(1.0)  # then an error bar is one scale
    seen = network.seen.cpu().numpy()
    told = [bool(seen[structure.numbers].all()) for structure in held_out]
    order = [row for row in np.argsort(held_out.num_atoms, kind="stable").tolist() if told[row]]
    ratios = np.full(known.shape, np.nan)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        values, scales = (each.double().cpu().numpy() for each in predict([held_out[row] for row in rows]))
        ratios[rows] = np.abs(values - known[rows]) / scales
    calibration.copy_(conformal_factors(ratios, list(network.config.properties)))
