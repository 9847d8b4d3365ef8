"""One entry of a source: the raw record as found, and the row it becomes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.molecules.molecule import Molecule

Form = Literal["cif", "frame", "file", "atoms", "arrays", "json", "smiles", "sdf", "bad"]


@dataclass(frozen=True)
class Record:
    """An entry not yet parsed; cheap to make and to send to another process.

    Attributes:
        id: name of the entry.
        kind: what ``content`` is: CIF, extended XYZ, SMILES or SD text, the path of a file, ASE Atoms, a tuple of
            arrays (numbers, frac_coords, lattice; of a molecule, the fields of `MoleculeArrays`), a JSON object, or for
            "bad" the reason why there is nothing to parse.
        content: see ``kind``.
        where: file and entry, for messages.
        split: "train", "val", "test" or the source's own word.
        info: the entry's other fields; finite numbers become properties of the crystal.
    """

    id: str
    kind: Form
    content: object
    where: str
    split: str = "train"
    info: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """An entry parsed: a crystal, or ``None`` and the reason in one line that names file and entry.

    Attributes:
        id: name of the entry.
        crystal: the structure in the cell it was given in; numeric fields of the entry are its properties.
        reason: empty when there is a crystal.
        where: file and entry.
        split: "train", "val", "test" or the source's own word.
        info: the entry's other fields.
    """

    id: str
    crystal: Crystal | None
    reason: str = ""
    where: str = ""
    split: str = "train"
    info: dict[str, object] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the entry calls itself, where it does: a number there is a row count as a rule, not a name."""
        named = self.info.get("id")
        return named if isinstance(named, str) and named else self.id


class MoleculeArrays(NamedTuple):
    """A molecule as files of arrays hold it: numbers and positions, and what else is known.

    Attributes:
        numbers: shape (atoms,).
        positions: shape (atoms, 3), Angstrom.
        smiles: of the same molecule, empty where there is none.
        bonds: shape (bonds, 3), or None where only ``smiles`` or the distances tell.
        charges: formal charges that come with ``bonds``.
    """

    numbers: np.ndarray
    positions: np.ndarray
    smiles: str = ""
    bonds: np.ndarray | None = None
    charges: np.ndarray | None = None


Origin = Literal["given", "ETKDGv3"]
"""Where positions come from: the source, or an estimate from a SMILES."""


@dataclass(frozen=True)
class MoleculeRow:
    """An entry parsed: a molecule, or ``None`` and the reason in one line that names file and entry.

    Attributes:
        id: name of the entry.
        molecule: the structure; numeric fields of the entry are its properties.
        reason: empty when there is a molecule.
        where: file and entry.
        split: "train", "val", "test" or the source's own word.
        info: the entry's other fields.
        origin: where the positions come from.
    """

    id: str
    molecule: Molecule | None
    reason: str = ""
    where: str = ""
    split: str = "train"
    info: dict[str, object] = field(default_factory=dict)
    origin: Origin = "given"


_SPLIT = re.compile(r"(?:^|[^a-z])(train|val|valid|test)(?=[^a-z]|$)")


def split_from_name(name: str) -> str:
    """The split a file name tells, ``mp_20_val.csv -> "val"``; "train" when it tells none or two."""
    told = {"val" if word == "valid" else word for word in _SPLIT.findall(name.lower())}
    return told.pop() if len(told) == 1 else "train"
