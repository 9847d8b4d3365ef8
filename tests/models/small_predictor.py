"""A small predictor with random weights, and batches of real molecules for it."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from tests.models.small_molecules import molecules
from unigen.models.predictor.batch import PropertyBatch, PropertyItem, collate_properties
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.readout import Pooling

POOLINGS: dict[str, Pooling] = {"alpha": "sum", "gap": "attention", "mu": "dipole", "Cv": "sum"}
SIZES = {"layers": 2, "width": 16, "vectors": 8, "tensors": 4, "channels": 3, "radial": 5}


@cache
def small_predictor(seed: int = 0) -> PropertyNetwork:
    """Untrained, in double precision and evaluation mode, with a baseline as if it had seen all elements."""
    torch.manual_seed(seed)
    network = PropertyNetwork(PredictorConfig(kind="predictor", properties=POOLINGS, **SIZES)).double()
    network.of_element.normal_()
    network.of_element[0] = 0
    network.offset.normal_()
    network.scale.uniform_(0.5, 2)
    network.seen.fill_(value=True)
    return network.eval()


def items(some: tuple[Molecule, ...] = molecules()) -> list[PropertyItem]:
    """One a molecule, with made-up values."""
    rng = np.random.default_rng(0)
    return [PropertyItem(each.numbers, each.positions, rng.normal(size=len(POOLINGS))) for each in some]


def batch(some: tuple[Molecule, ...] = molecules()) -> PropertyBatch:
    """Of all of them."""
    return collate_properties(items(some))


def electrons_network(
    poolings: dict[str, Pooling], factor: float = 1.0, *, error_bars: bool = False
) -> PropertyNetwork:
    """A network whose every property is the number of electrons times a factor: known exactly."""
    network = PropertyNetwork(PredictorConfig(kind="predictor", properties=poolings, error_bars=error_bars, **SIZES))
    network.of_element.copy_(factor * torch.arange(len(network.of_element))[:, None])
    network.scale.zero_()
    network.seen[[1, 6, 7, 8, 9]] = True
    return network.eval()
