"""A trained predictor as a function of molecules: which properties they have, by elements and positions alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from unigen.batch import pad
from unigen.bounded_cache import BoundedCache
from unigen.disk import sha256_of
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.interface import PredictingNetwork
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float

BUNDLED = "unigen-qm9-predictor"

_BATCH = 128  # molecules; sorted by size, so that padding is little

_REMEMBERED = 1 << 17
"""Molecules whose properties are kept, with the molecules themselves: some 2 KB each, ten times the test set of QM9."""


class NetworkPredictor:
    """A function that gives all properties of molecules at once; molecules it has seen are remembered.

    It is what `unigen.eval.molecules.conditional.evaluate_conditional` judges with.

    Args:
        network: trained.
        name: for messages and reports.
        version: checksum of the weights.
    """

    def __init__(self, network: PredictingNetwork, name: str, version: str = "") -> None:
        self.network = network.eval()
        self.name, self.version = name, version
        # by identity, as molecules are compared
        self._predicted = BoundedCache[Molecule, Float[np.ndarray, "properties"]](_REMEMBERED)

    @property
    def properties(self) -> tuple[str, ...]:
        """What it predicts, in this order, in the units of the data it was trained on."""
        return self.network.properties

    def __call__(self, molecules: Sequence[Molecule]) -> Float[np.ndarray, "molecules properties"]:
        """Every property of every molecule.

        Raises:
            UserError: an element that was not there in training.
        """
        new = sorted(dict.fromkeys(molecule for molecule in molecules if molecule not in self._predicted), key=len)
        made: list[tuple[Molecule, np.ndarray]] = []
        for start in range(0, len(new), _BATCH):
            batch = new[start : start + _BATCH]
            made += zip(batch, self._run_network(batch), strict=True)
        found = self._predicted.get_all(molecules, made)
        values = [found[molecule] for molecule in molecules]
        return np.array(values).reshape(len(molecules), len(self.properties))

    @torch.no_grad()
    def _run_network(self, molecules: list[Molecule]) -> Float[np.ndarray, "molecules properties"]:
        atoms = max(map(len, molecules))
        numbers = pad([molecule.numbers for molecule in molecules], atoms)
        unseen = numbers[~self.network.seen.cpu()[numbers] & (numbers > 0)]
        if len(unseen):
            raise UserError(f"the predictor was trained without {SYMBOLS[int(unseen[0])]}", where=self.name)
        positions = pad([molecule.positions.astype(np.float32) for molecule in molecules], atoms)
        device = self.network.seen.device
        return self.network(numbers.to(device), positions.to(device)).double().cpu().numpy()


def load_predictor(name_or_folder: str | Path = BUNDLED, device: str = "cpu") -> NetworkPredictor:
    """A predictor by bundled name or by model folder.

    Raises:
        UserError: no such model, one that predicts nothing, weights missing or truncated.

    Example:
        >>> predictor = load_predictor("runs/qm9-predictor/model")  # doctest: +SKIP
        >>> predictor([Molecule.from_smiles("CCO")])[:, predictor.properties.index("gap")]  # doctest: +SKIP
    """
    folder = model_folder(name_or_folder)
    network = load_model(folder, device)
    if not isinstance(network, PredictingNetwork):
        raise UserError("this model predicts no properties", where=str(folder), got=f"kind {network.config.kind}")
    return NetworkPredictor(network, folder.name, sha256_of(folder / WEIGHTS))
