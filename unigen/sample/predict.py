"""A trained predictor as a function of molecules: which properties they have, by elements and positions alone.

Two are bundled, each trained on the half of QM9 that the other has not seen: one judges molecules that were made for a
property, the other chooses among candidates, so that none is judged by the one that chose it.
"""

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
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.generator import Generator
from unigen.models.interface import PredictingNetwork
from unigen.molecules.molecule import Molecule
from unigen.ranking.property import ComputedDensity, PropertyRanker
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.shapes import Float

JUDGE, CHOOSER = "unigen-qm9-predictor", "unigen-qm9-chooser"

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
        trained_on: which data it has seen, in a sentence.
    """

    def __init__(
        self, network: PredictingNetwork, name: str, version: str = "", trained_on: str = "its card does not say"
    ) -> None:
        self.network = network.eval()
        self.name, self.version, self.trained_on = name, version, trained_on
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


def load_predictor(name_or_folder: str | Path = JUDGE, device: str = "cpu") -> NetworkPredictor:
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
    card = folder / "card.yaml"
    trained_on = {"trained_on": read_model_card(card).data} if card.exists() else {}
    return NetworkPredictor(network, folder.name, sha256_of(folder / WEIGHTS), **trained_on)


def property_ranker(
    generator: Generator,
    requests: Sequence[CrystalRequest | MoleculeRequest],
    predictor: str | Path | None = None,
) -> PropertyRanker:
    """What chooses those candidates of a generator that have the properties they were asked for.

    Args:
        generator: knows the spread and the unit of each property.
        requests: each asks for one property or more.
        predictor: of molecules, a bundled name or a model folder; by default the bundled one that chooses. The density
            of crystals is computed.

    Raises:
        UserError: no such predictor, a request that asks for no property, or for one that is not predicted.

    Example:
        >>> wanted = MoleculeRequest(properties={"gap": 0.25})  # doctest: +SKIP
        >>> property_ranker(unigen.load("unigen-molecule-small"), [wanted])  # doctest: +SKIP
    """
    properties = list(dict.fromkeys(name for request in requests for name in request.properties))
    if generator.makes == "molecules":
        ranker = PropertyRanker(load_predictor(predictor or CHOOSER), generator.ranges(properties))
    elif predictor is None:
        ranker = PropertyRanker(ComputedDensity(), generator.ranges(properties))
    else:
        raise UserError("crystals are ranked by their density, which is computed", got=f"predictor {predictor}")
    ranker.check(requests)
    return ranker
