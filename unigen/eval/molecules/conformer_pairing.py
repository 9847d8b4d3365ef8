"""Which generated conformers are of which molecule, and the reference conformers of each molecule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from unigen.errors import UserError
from unigen.eval.crystals.samples import split_name
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.molecules.verdict import perceive
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import canonical_smiles
from unigen.parallel import Workers


@dataclass(frozen=True, eq=False)
class ReferenceGroup:
    """A molecule with its reference conformers.

    Attributes:
        smiles: canonical, with the stereo of the positions: what makes two conformers of one molecule.
        conformers: at least one.
        ids: their names.
    """

    smiles: str
    conformers: tuple[Molecule, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ConformerPairing:
    """Samples by molecule; all integers are positions in the lists that were paired.

    Attributes:
        of_group: the samples of each group.
        unpaired: samples that are of no molecule of the reference.
    """

    of_group: tuple[tuple[int, ...], ...]
    unpaired: tuple[int, ...] = field(default=())


def group_references(reference: MoleculeReference, workers: Workers) -> tuple[list[ReferenceGroup], int]:
    """Reference conformers by molecule, and how many are not usable (no heavy atom, bonds that RDKit refuses)."""
    molecules = [reference.molecules[index] for index in range(len(reference.molecules))]
    found: dict[str, list[int]] = {}
    for place, smiles in enumerate(workers.map(_smiles, molecules, "Reference molecules")):
        found.setdefault(smiles, []).append(place)
    unusable = len(found.pop("", []))
    groups = [
        ReferenceGroup(
            smiles, tuple(molecules[place] for place in places), tuple(str(reference.ids[place]) for place in places)
        )
        for smiles, places in found.items()
    ]
    return groups, unusable + reference.unreadable


def _smiles(molecule: Molecule) -> str:
    try:
        return molecule.to_smiles() if (molecule.numbers > 1).any() else ""
    except UserError:
        return ""


def pair_conformers(samples: Sequence[MoleculeEntry], groups: Sequence[ReferenceGroup]) -> ConformerPairing:
    """By the SMILES a sample was asked to be, else by its id (``17``, ``17__3``, ``17_3``), else by its own graph.

    SMILES are compared in canonical form, stereo included.
    """
    by_smiles = {group.smiles: place for place, group in enumerate(groups)}
    by_id = {name: place for place, group in reversed(list(enumerate(groups))) for name in group.ids}
    canonical = {text: _canonical(text) for text in {sample.smiles for sample in samples} if text}
    of_group: list[list[int]] = [[] for _ in groups]
    unpaired = []
    for number, sample in enumerate(samples):
        place = by_smiles.get(canonical.get(sample.smiles, ""))
        if place is None:
            place = _by_name(sample.id, by_id)
        if place is None and sample.molecule is not None:
            place = by_smiles.get(_own_smiles(sample.molecule))
        if place is None:
            unpaired.append(number)
        else:
            of_group[place].append(number)
    return ConformerPairing(tuple(map(tuple, of_group)), tuple(unpaired))


def _canonical(text: str) -> str:
    try:
        return canonical_smiles(text)
    except UserError:
        return ""


def _by_name(name: str, by_id: dict[str, int]) -> int | None:
    split = split_name(name)
    return by_id.get(name, None if split is None else by_id.get(split[0]))


def _own_smiles(molecule: Molecule) -> str:
    if len(molecule.bonds):
        return _smiles(molecule)
    graph = perceive(molecule).graph
    return graph.smiles if graph else ""
