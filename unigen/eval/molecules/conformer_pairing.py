"""Which generated conformers are of which molecule, and the reference conformers of each molecule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from unigen.errors import UserError
from unigen.eval.molecules.graph import perceive
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.samples import split_name
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import isomer_smiles, parse_smiles
from unigen.molecules.stereoisomers import is_molecule, same_stereoisomer
from unigen.parallel import Workers


@dataclass(frozen=True, eq=False)
class ReferenceGroup:
    """A molecule with its reference conformers.

    Attributes:
        key: the text by which molecules are told apart, `unigen.molecules.rdkit_smiles.isomer_smiles`.
        smiles: canonical, with the stereo of the positions of the first conformer.
        conformers: at least one.
        ids: their names.
    """

    key: str
    smiles: str
    conformers: tuple[Molecule, ...]
    ids: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ConformerPairing:
    """Samples by molecule; all integers are positions in the lists that were paired.

    Attributes:
        of_group: the samples of each group.
        unpaired: samples that are of no molecule of the reference.
        by_text: samples that were paired by the SMILES they were asked to be.
    """

    of_group: tuple[tuple[int, ...], ...]
    unpaired: tuple[int, ...] = ()
    by_text: frozenset[int] = frozenset()


def group_references(reference: MoleculeReference, workers: Workers) -> tuple[list[ReferenceGroup], int]:
    """Reference conformers by molecule, and how many are not usable (no heavy atom, bonds that RDKit refuses)."""
    molecules = [reference.molecules[index] for index in range(len(reference.molecules))]
    positions: dict[str, list[int]] = {}
    for position, key in enumerate(workers.map(_key, molecules, "Reference molecules")):
        positions.setdefault(key, []).append(position)
    unusable = len(positions.pop("", []))
    groups = [
        ReferenceGroup(
            key,
            molecules[members[0]].to_smiles(),
            tuple(molecules[n] for n in members),
            tuple(str(reference.ids[n]) for n in members),
        )
        for key, alike in positions.items()
        for members in _isomers(alike, molecules)
    ]
    return groups, unusable + reference.unreadable


def _isomers(alike: list[int], molecules: Sequence[Molecule]) -> list[list[int]]:
    """Molecules of one text by isomer: the text overlooks some."""
    isomers: list[list[int]] = []
    for position in alike:
        if len(alike) == 1:
            return [alike]
        mol = molecules[position].to_rdkit()
        own = (each for each in isomers if same_stereoisomer(mol, molecules[each[0]].to_rdkit(), imines=False))
        members = next(own, None)
        if members is None:
            isomers.append([position])
        else:
            members.append(position)
    return isomers


def _key(molecule: Molecule) -> str:
    try:
        return isomer_smiles(molecule.to_rdkit()) if (molecule.numbers > 1).any() else ""
    except UserError:
        return ""


class _Lookup:
    """The groups of a reference by what samples say of themselves.

    Args:
        groups: whose numbers are looked up.
    """

    def __init__(self, groups: Sequence[ReferenceGroup]) -> None:
        self._groups = groups
        self._of_key: dict[str, list[int]] = {}
        self._of_id: dict[str, int] = {}
        self._of_text: dict[str, int | None] = {}
        for number, group in enumerate(groups):
            self._of_key.setdefault(group.key, []).append(number)
            for name in group.ids:
                self._of_id.setdefault(name, number)

    def of_text(self, text: str) -> int | None:
        """By SMILES; where several groups have its canonical form, that whose positions agree with it."""
        if text not in self._of_text:
            self._of_text[text] = self._first(_key_of_text(text), partial(_is_of_text, text=text))
        return self._of_text[text]

    def of_name(self, name: str) -> int | None:
        """By the id of a reference conformer, or one numbered after it."""
        split = split_name(name)
        return self._of_id.get(name, self._of_id.get(split[0]) if split else None)

    def of_molecule(self, molecule: Molecule) -> int | None:
        """By the graph and the positions of a molecule."""
        own = molecule if len(molecule.bonds) else getattr(perceive(molecule).graph, "molecule", None)
        return None if own is None else self._first(_key(own), partial(_is_isomer, molecule=own))

    def _first(self, key: str, agrees: Callable[[Molecule], bool | None]) -> int | None:
        numbers = self._of_key.get(key, [])
        if len(numbers) < 2:
            return next(iter(numbers), None)
        return next((number for number in numbers if agrees(self._groups[number].conformers[0])), numbers[0])


def _is_of_text(conformer: Molecule, text: str) -> bool | None:
    return is_molecule(conformer.to_rdkit(), text, largest_fragment=True)


def _is_isomer(conformer: Molecule, molecule: Molecule) -> bool | None:
    return same_stereoisomer(molecule.to_rdkit(), conformer.to_rdkit(), imines=False)


def pair_conformers(samples: Sequence[MoleculeEntry], groups: Sequence[ReferenceGroup]) -> ConformerPairing:
    """By the SMILES a sample was asked to be, else by its id (``17``, ``17__3``, ``17_3``), else by its own graph.

    SMILES are compared in canonical form, stereo included; of a text of several molecules the largest is meant.
    """
    lookup = _Lookup(groups)
    of_group: list[list[int]] = [[] for _ in groups]
    unpaired: list[int] = []
    by_text: set[int] = set()
    for position, sample in enumerate(samples):
        number = lookup.of_text(sample.smiles) if sample.smiles else None
        if number is not None:
            by_text.add(position)
        else:
            number = lookup.of_name(sample.id)
        if number is None and sample.molecule is not None:
            number = lookup.of_molecule(sample.molecule)
        if number is None:
            unpaired.append(position)
        else:
            of_group[number].append(position)
    return ConformerPairing(tuple(map(tuple, of_group)), tuple(unpaired), frozenset(by_text))


def _key_of_text(text: str) -> str:
    try:
        return isomer_smiles(parse_smiles(text, largest_fragment=True))
    except UserError:
        return ""
