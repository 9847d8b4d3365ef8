"""Which generated conformers are of which molecule, and the reference conformers of each molecule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unigen.errors import UserError
from unigen.eval.molecules.graph import perceive
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.samples import split_name
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
    unpaired: tuple[int, ...] = ()


def group_references(reference: MoleculeReference, workers: Workers) -> tuple[list[ReferenceGroup], int]:
    """Reference conformers by molecule, and how many are not usable (no heavy atom, bonds that RDKit refuses)."""
    molecules = [reference.molecules[index] for index in range(len(reference.molecules))]
    positions: dict[str, list[int]] = {}
    for position, smiles in enumerate(workers.map(_smiles, molecules, "Reference molecules")):
        positions.setdefault(smiles, []).append(position)
    unusable = len(positions.pop("", []))
    groups = [
        ReferenceGroup(smiles, tuple(molecules[n] for n in members), tuple(str(reference.ids[n]) for n in members))
        for smiles, members in positions.items()
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
    group_of_smiles = {group.smiles: number for number, group in enumerate(groups)}
    group_of_id: dict[str, int] = {}
    for group_number, group in enumerate(groups):
        for name in group.ids:
            group_of_id.setdefault(name, group_number)
    canonical = {text: _canonical(text) for text in {sample.smiles for sample in samples} if text}
    of_group: list[list[int]] = [[] for _ in groups]
    unpaired: list[int] = []
    for position, sample in enumerate(samples):
        split = split_name(sample.id)
        number = group_of_smiles.get(canonical.get(sample.smiles, ""))
        if number is None:
            number = group_of_id.get(sample.id)
        if number is None and split is not None:
            number = group_of_id.get(split[0])
        if number is None and sample.molecule is not None:
            number = group_of_smiles.get(_own_smiles(sample.molecule))
        if number is None:
            unpaired.append(position)
        else:
            of_group[number].append(position)
    return ConformerPairing(tuple(map(tuple, of_group)), tuple(unpaired))


def _canonical(text: str) -> str:
    try:
        return canonical_smiles(text)
    except UserError:
        return ""


def _own_smiles(molecule: Molecule) -> str:
    if len(molecule.bonds):
        return _smiles(molecule)
    graph = perceive(molecule).graph
    return graph.smiles if graph else ""
