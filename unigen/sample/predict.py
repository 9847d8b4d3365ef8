"""A trained predictor as a function of structures: which properties they have, by elements and positions alone.

Of molecules two are bundled, each trained on the half of QM9 that the other has not seen: one judges molecules that
were made for a property, the other chooses among candidates, so that none is judged by the one that chose it. Of
crystals there is one, whose values have error bars.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unigen.batch import pad
from unigen.bounded_cache import BoundedCache
from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.recipes import recipe
from unigen.disk import sha256_of
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.generator import Generator
from unigen.models.interface import CalibratedNetwork, PredictingNetwork
from unigen.molecules.molecule import Molecule
from unigen.ranking.property import ComputedDensity, PropertyRanker
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.shapes import Bool, Float

JUDGE, CHOOSER = "unigen-qm9-predictor", "unigen-qm9-chooser"
CRYSTALS = "unigen-crystal-predictor"

_BATCH = 128  # structures; sorted by size, so that padding is little
_MOST_ATOMS = 2_000
"""Of a batch: an atom of a crystal sees some thirty others, and every pair takes as much memory as an atom does."""

_REMEMBERED = 1 << 17
"""Molecules whose properties are kept, with the molecules themselves: some 2 KB each, ten times the test set of QM9."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a predictor says of some structures.

    Attributes:
        properties: in their order.
        values: NaN where it says nothing.
        errors: nine errors of ten on structures like those of the training are smaller; NaN where it does not say.
        reasons: why it says nothing of a structure; empty where it does.
    """

    properties: tuple[str, ...]
    values: Float[np.ndarray, "structures properties"]
    errors: Float[np.ndarray, "structures properties"]
    reasons: list[str]


class StructurePredictor(ABC):
    """What gives all properties of structures at once.

    Attributes:
        name: for messages and reports.
        version: checksum of the weights.
        trained_on: which data it has seen, in a sentence.
        of: what it predicts properties of.
    """

    name: str
    version: str
    trained_on: str
    of: Kind

    @property
    @abstractmethod
    def properties(self) -> tuple[str, ...]:
        """What it predicts, in this order, in the units of the data it was trained on."""

    @property
    @abstractmethod
    def units(self) -> tuple[str, ...]:
        """Of the properties; empty where nobody says."""

    @abstractmethod
    def predict(self, structures: Sequence[Any]) -> Predictions:
        """Every property of every structure, or why there is none."""

    def _unseen(self, structure: Crystal | Molecule, seen: Bool[np.ndarray, "elements"]) -> str:
        """Why nothing is said of a structure with an element that was not there in training; else nothing."""
        new = sorted({*structure.numbers.tolist()} - {*np.flatnonzero(seen).tolist()})
        return f"the predictor was trained without {', '.join(SYMBOLS[number] for number in new)}" if new else ""


class CalibratedPredictor(StructurePredictor):
    """Of crystals, or of molecules, with error bars.

    Args:
        network: trained.
        name: see StructurePredictor.
        version: see StructurePredictor.
        trained_on: see StructurePredictor.
    """

    def __init__(self, network: CalibratedNetwork, name: str, version: str, trained_on: str) -> None:
        self.network = network.eval()
        self.name, self.version, self.trained_on, self.of = name, version, trained_on, network.structures

    @property
    def properties(self) -> tuple[str, ...]:
        """See StructurePredictor."""
        return self.network.properties

    @property
    def units(self) -> tuple[str, ...]:
        """See StructurePredictor."""
        return self.network.units

    @torch.no_grad()
    def predict(self, structures: Sequence[Crystal] | Sequence[Molecule]) -> Predictions:
        """See StructurePredictor."""
        seen = self.network.seen.cpu().numpy()
        reasons = [self._unseen(structure, seen) for structure in structures]
        values = np.full((len(structures), len(self.properties)), np.nan)
        errors = values.copy()
        order = sorted(
            (place for place, why in enumerate(reasons) if not why), key=lambda place: len(structures[place])
        )
        start = 0
        while start < len(order):
            largest = len(structures[order[min(start + _BATCH, len(order)) - 1]])
            chosen = order[start : start + max(1, min(_BATCH, _MOST_ATOMS // largest))]
            start += len(chosen)
            found = self.network.predicted([structures[place] for place in chosen])
            values[chosen], errors[chosen] = (each.double().cpu().numpy() for each in found)
        return Predictions(self.properties, values, errors, reasons)


class CrystalProperties:
    """What chooses among crystals by their properties: their density, which is computed, and what a network predicts.

    Args:
        network: of crystals.
    """

    def __init__(self, network: StructurePredictor) -> None:
        self.network, self.density = network, ComputedDensity()
        self.name, self.version, self.trained_on = network.name, network.version, network.trained_on

    @property
    def properties(self) -> tuple[str, ...]:
        """See `unigen.ranking.property.PropertyPredictor`."""
        return (*self.density.properties, *self.network.properties)

    def __call__(self, structures: Sequence[Crystal]) -> Float[np.ndarray, "crystals properties"]:
        """See `unigen.ranking.property.PropertyPredictor`.

        Raises:
            UserError: an element that was not there in training.
        """
        found = self.network.predict(structures)
        if reasons := [reason for reason in found.reasons if reason]:
            raise UserError(reasons[0], where=self.name)
        return np.concatenate([self.density(structures), found.values], axis=1)


class NetworkPredictor(StructurePredictor):
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
        self.name, self.version, self.trained_on, self.of = name, version, trained_on, "molecules"
        # by identity, as molecules are compared
        self._predicted = BoundedCache[Molecule, Float[np.ndarray, "properties"]](_REMEMBERED)

    @property
    def properties(self) -> tuple[str, ...]:
        """What it predicts, in this order, in the units of the data it was trained on."""
        return self.network.properties

    @property
    def units(self) -> tuple[str, ...]:
        """Not told by this kind of network: those of QM9, where the property is one of its."""
        card = recipe("qm9")
        known = {} if card is None else card.properties
        return tuple(known.get(name, {}).get("unit", "") for name in self.properties)

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

    def predict(self, structures: Sequence[Molecule]) -> Predictions:
        """See StructurePredictor; this network tells no error bars, and its card what it is off by on average."""
        seen = self.network.seen.cpu().numpy()
        reasons = [self._unseen(structure, seen) for structure in structures]
        values = np.full((len(structures), len(self.properties)), np.nan)
        said = [place for place, why in enumerate(reasons) if not why]
        values[said] = self([structures[place] for place in said])
        return Predictions(self.properties, values, np.full_like(values, np.nan), reasons)

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


def open_predictor_of(kind: Kind, name_or_folder: str | Path, device: str = "cpu") -> StructurePredictor:
    """One of these structures; raises UserError as `open_predictor`, and for one of the others."""
    opened = open_predictor(name_or_folder, device)
    if opened.of != kind:
        raise UserError(f"this predictor is of {opened.of}", where=opened.name, got=kind)
    return opened


def open_predictor(name_or_folder: str | Path, device: str = "cpu") -> StructurePredictor:
    """A predictor by bundled name or by model folder.

    Raises:
        UserError: no such model, one that predicts nothing, weights missing or truncated.
    """
    folder = model_folder(name_or_folder)
    network = load_model(folder, device)
    card = folder / "card.yaml"
    trained_on = read_model_card(card).data if card.exists() else "its card does not say"
    told = folder.name, sha256_of(folder / WEIGHTS), trained_on
    if isinstance(network, CalibratedNetwork):
        return CalibratedPredictor(network, *told)
    if isinstance(network, PredictingNetwork):
        return NetworkPredictor(network, *told)
    raise UserError("this model predicts no properties", where=str(folder), got=f"kind {network.config.kind}")


def load_predictor(name_or_folder: str | Path = JUDGE, device: str = "cpu") -> NetworkPredictor:
    """One that judges and chooses molecules; raises UserError as `open_predictor`, and for any other.

    Example:
        >>> predictor = load_predictor("runs/qm9-predictor/model")  # doctest: +SKIP
        >>> predictor([Molecule.from_smiles("CCO")])[:, predictor.properties.index("gap")]  # doctest: +SKIP
    """
    predictor = open_predictor(name_or_folder, device)
    if not isinstance(predictor, NetworkPredictor):
        raise UserError("this predictor judges no molecules", where=str(name_or_folder), wanted="kind: predictor")
    return predictor


def property_ranker(
    generator: Generator,
    requests: Sequence[CrystalRequest | MoleculeRequest],
    predictor: str | Path | None = None,
) -> PropertyRanker:
    """What chooses those candidates of a generator that have the properties they were asked for.

    Args:
        generator: knows the spread and the unit of each property.
        requests: each asks for one property or more.
        predictor: a bundled name or a model folder; by default, of molecules the bundled one that chooses, of crystals
            the only one, which is not asked for densities: these are computed.

    Raises:
        UserError: no such predictor, a request that asks for no property, or for one that is not predicted.

    Example:
        >>> wanted = MoleculeRequest(properties={"gap": 0.25})  # doctest: +SKIP
        >>> property_ranker(unigen.load("unigen-molecule-small"), [wanted])  # doctest: +SKIP
    """
    properties = list(dict.fromkeys(name for request in requests for name in request.properties))
    if generator.makes == "molecules":
        ranker = PropertyRanker(load_predictor(predictor or CHOOSER), generator.ranges(properties))
    elif predictor is None and properties == ["density"]:
        ranker = PropertyRanker(ComputedDensity(), generator.ranges(properties))
    else:
        opened = open_predictor_of("crystals", predictor or CRYSTALS)
        ranker = PropertyRanker(CrystalProperties(opened), generator.ranges(properties))
    ranker.check(requests)
    return ranker
