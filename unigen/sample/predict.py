"""A trained predictor as a function of structures: which properties they have, by elements and positions alone.

Of molecules two are bundled, each trained on the half of QM9 that the other has not seen: one judges molecules that
were made for a property and tells error bars, the other chooses among candidates, so that none is judged by the one
that chose it. Of crystals there is one, with error bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unigen.bounded_cache import BoundedCache
from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.disk import sha256_of
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.models.card import read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.generator import Generator
from unigen.models.interface import PredictingNetwork
from unigen.molecules.descriptors import ComputedDescriptors
from unigen.molecules.molecule import Molecule
from unigen.ranking.property import ComputedDensity, PropertyPredictor, PropertyRanker
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.shapes import Float

JUDGE, CHOOSER = "unigen-qm9-predictor", "unigen-qm9-chooser"
CRYSTALS = "unigen-crystal-predictor"

_BATCH = 128  # structures; sorted by size, so that padding is little
_MOST_ATOMS = 2_000
"""Of a batch: an atom of a crystal sees some thirty others, and every pair takes as much memory as an atom does."""

_REMEMBERED = 1 << 16
"""Structures that are kept with their properties: of molecules some 2 KB each, five times the test set of QM9."""


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


class NetworkPredictor:
    """A function that gives all properties of crystals or of molecules at once; structures it has seen are remembered.

    It is what `unigen.eval.molecules.conditional.evaluate_conditional` judges with.

    Args:
        network: trained.
        name: for messages and reports.
        version: checksum of the weights.
        trained_on: which data it has seen, in a sentence.

    Attributes:
        of: what it predicts properties of.
        properties: what it predicts, in this order, in the units of the data it was trained on.
        units: of the properties; empty where nobody says.
    """

    def __init__(
        self, network: PredictingNetwork, name: str, version: str = "", trained_on: str = "its card does not say"
    ) -> None:
        self.network = network.eval()
        self.name, self.version, self.trained_on, self.of = name, version, trained_on, network.structures
        self.properties, self.units = network.properties, network.units
        # by identity, as structures are compared
        self._predicted = BoundedCache[Crystal | Molecule, Float[np.ndarray, "2 properties"]](_REMEMBERED)

    def __call__(self, structures: Sequence[Crystal | Molecule]) -> Float[np.ndarray, "structures properties"]:
        """Every property of every structure.

        Raises:
            UserError: an element that was not there in training.
        """
        found = self.predict(structures)
        if reasons := [reason for reason in found.reasons if reason]:
            raise UserError(reasons[0], where=self.name)
        return found.values

    def predict(self, structures: Sequence[Crystal | Molecule]) -> Predictions:
        """Every property of every structure and how far off it may be, or why nothing is said of it."""
        seen = frozenset(self.network.seen.nonzero()[:, 0].tolist())
        reasons = [_unseen(structure, seen) for structure in structures]
        told = [one for one, why in zip(structures, reasons, strict=True) if not why]
        new = sorted(dict.fromkeys(each for each in told if each not in self._predicted), key=len)
        found = self._predicted.get_all(told, self._run_network(new))
        both = np.full((len(structures), 2, len(self.properties)), np.nan)
        for place, structure in enumerate(structures):
            if not reasons[place]:
                both[place] = found[structure]
        return Predictions(self.properties, both[:, 0], both[:, 1], reasons)

    def error_bars(self, structures: Sequence[Crystal | Molecule]) -> Float[np.ndarray, "structures properties"]:
        """See `unigen.ranking.property.TellsErrors`."""
        return self.predict(structures).errors

    @torch.no_grad()
    def _run_network(
        self, structures: list[Crystal | Molecule]
    ) -> list[tuple[Crystal | Molecule, Float[np.ndarray, "2 properties"]]]:
        """Values and error bars of each; the smallest come first."""
        made: list[tuple[Crystal | Molecule, Float[np.ndarray, "2 properties"]]] = []
        while len(made) < len(structures):
            rest = structures[len(made) : len(made) + _BATCH]
            batch = rest[: max(1, _MOST_ATOMS // len(rest[-1]))]
            values, errors = (each.double().cpu().numpy() for each in self.network.predicted(batch))
            made += zip(batch, np.stack([values, errors], axis=1), strict=True)
        return made


def _unseen(structure: Crystal | Molecule, seen: frozenset[int]) -> str:
    """Why nothing is said of a structure with an element that was not there in training; else nothing."""
    new = sorted({*structure.numbers.tolist()} - seen)
    return f"the predictor was trained without {', '.join(SYMBOLS[number] for number in new)}" if new else ""


class ComputedAndPredicted:
    """Some properties that are computed and so known, and those that a network predicts: what chooses by both.

    Args:
        known: of the same structures.
        network: what it predicts under a name of the known ones is not used.
    """

    def __init__(self, known: ComputedDensity | ComputedDescriptors, network: NetworkPredictor) -> None:
        self.network, self.known = network, known
        self.name, self.version, self.trained_on = network.name, network.version, network.trained_on

    @property
    def properties(self) -> tuple[str, ...]:
        """See `unigen.ranking.property.PropertyPredictor`."""
        return (*self.known.properties, *self.network.properties)

    def __call__(self, structures: Sequence[Any]) -> Float[np.ndarray, "structures properties"]:
        """See `unigen.ranking.property.PropertyPredictor`.

        Raises:
            UserError: an element that was not there in training.
        """
        return np.concatenate([self.known(structures), self.network(structures)], axis=1)

    def error_bars(self, structures: Sequence[Any]) -> Float[np.ndarray, "structures properties"]:
        """See `unigen.ranking.property.TellsErrors`; of what is known nothing is said."""
        nothing = np.full((len(structures), len(self.known.properties)), np.nan)
        return np.concatenate([nothing, self.network.error_bars(structures)], axis=1)


def open_predictor_of(kind: Kind, name_or_folder: str | Path, device: str = "cpu") -> NetworkPredictor:
    """One of these structures; raises UserError as `open_predictor`, and for one of the others."""
    opened = open_predictor(name_or_folder, device)
    if opened.of != kind:
        raise UserError(f"this predictor is of {opened.of}", where=opened.name, got=kind)
    return opened


def open_predictor(name_or_folder: str | Path, device: str = "cpu") -> NetworkPredictor:
    """A predictor by bundled name or by model folder.

    Raises:
        UserError: no such model, one that predicts nothing, weights missing or truncated.
    """
    folder = model_folder(name_or_folder)
    network = load_model(folder, device)
    if not isinstance(network, PredictingNetwork):
        raise UserError("this model predicts no properties", where=str(folder), got=f"kind {network.config.kind}")
    card = folder / "card.yaml"
    trained_on = read_model_card(card).data if card.exists() else "its card does not say"
    return NetworkPredictor(network, folder.name, sha256_of(folder / WEIGHTS), trained_on)


def load_predictor(name_or_folder: str | Path = JUDGE, device: str = "cpu") -> NetworkPredictor:
    """One of molecules, which judges them and chooses among them; raises UserError as `open_predictor_of`.

    Example:
        >>> predictor = load_predictor("runs/qm9-predictor/model")  # doctest: +SKIP
        >>> predictor([Molecule.from_smiles("CCO")])[:, predictor.properties.index("gap")]  # doctest: +SKIP
    """
    return open_predictor_of("molecules", name_or_folder, device)


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
            the only one. It is not asked for what is computed: densities, and descriptors of molecules.

    Raises:
        UserError: no such predictor, a request that asks for no property, or for one that is not predicted.

    Example:
        >>> wanted = MoleculeRequest(properties={"gap": 0.25})  # doctest: +SKIP
        >>> property_ranker(unigen.load("unigen-molecule-small"), [wanted])  # doctest: +SKIP
    """
    properties = list(dict.fromkeys(name for request in requests for name in request.properties))
    of_molecules = generator.makes == "molecules"
    known = ComputedDescriptors() if of_molecules else ComputedDensity()
    chooses: PropertyPredictor = known
    if predictor is not None or not {*properties} <= {*known.properties}:
        opened = open_predictor_of(generator.makes, predictor or (CHOOSER if of_molecules else CRYSTALS))
        chooses = ComputedAndPredicted(known, opened)
    ranker = PropertyRanker(chooses, generator.ranges(properties))
    ranker.check(requests)
    return ranker
