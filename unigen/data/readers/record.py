"""One entry of a source: the raw record as read, and the row it becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, NamedTuple

import numpy as np

from unigen.data.store import Structure
from unigen.errors import UserError
from unigen.molecules.relaxation.estimated import Estimated
from unigen.parsing import PARSER_ERRORS, one_line

Form = Literal["cif", "frame", "file", "atoms", "arrays", "json", "smiles", "sdf", "bad"]


@dataclass(frozen=True)
class Record:
    """An entry not yet parsed; cheap to make and to send to another process.

    Attributes:
        id: name of the entry.
        form: what ``content`` is: CIF, extended XYZ, SMILES or SD text, the path of a file, ASE Atoms, arrays
            (`CrystalArrays`, `MoleculeArrays`), a JSON object, or for "bad" the reason why there is nothing to parse.
        content: see ``form``.
        where: file and entry, for messages.
        split: "train", "val", "test" or the source's own word.
        info: the entry's other fields; finite numbers become properties of the structure.
        conformer: of a SMILES that gets several, which one: the seed of its positions.
    """

    id: str
    form: Form
    content: object
    where: str
    split: str = "train"
    info: dict[str, object] = field(default_factory=dict)
    conformer: int = 0


class CrystalArrays(NamedTuple):
    """A crystal as files of arrays hold it, of any number type.

    Attributes:
        numbers: shape (atoms,).
        frac_coords: shape (atoms, 3).
        lattice: shape (3, 3), rows are vectors, Angstrom.
    """

    numbers: np.ndarray
    frac_coords: np.ndarray
    lattice: np.ndarray


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


Origin = Literal["given"] | Estimated
"""Where positions come from: the source, or an estimate from a SMILES."""


@dataclass(frozen=True)
class Row(Generic[Structure]):
    """An entry parsed: a crystal or a molecule, or ``None`` and the reason in one line that names file and entry.

    Attributes:
        id: name of the entry.
        structure: as the entry gives it (a crystal in its own cell); numeric fields of the entry are its properties.
        reason: empty when there is a structure.
        where: file and entry.
        split: "train", "val", "test" or the source's own word.
        info: the entry's other fields.
        origin: where the positions come from.
        not_kept: what the entry says that the structure does not hold, in words: isotopes, say.
    """

    id: str
    structure: Structure | None
    reason: str = ""
    where: str = ""
    split: str = "train"
    info: dict[str, object] = field(default_factory=dict)
    origin: Origin = "given"
    not_kept: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What the entry calls itself, where it does: a number there is a row count as a rule, not a name."""
        named = self.info.get("id")
        return named if isinstance(named, str) and named else self.id

    def rejected(self, reason: str) -> Row[Structure]:
        """The same row without its structure."""
        return replace(self, structure=None, reason=reason)


def parse_record(record: Record, parse: Callable[[Record], Structure], origin: Origin = "given") -> Row[Structure]:
    """The row of a record: what ``parse`` makes of it, or the reason why it fails, its own or a library's."""
    split = str(record.info.get("split") or record.split)
    try:
        structure, reason = parse(record), ""
    except UserError as error:
        structure, reason = None, str(error)
    except PARSER_ERRORS as error:
        structure, reason = None, f"{record.where}: {type(error).__name__}: {one_line(error)}"
    return Row(record.id, structure, reason, record.where, split, record.info, origin)


# as a word of its own: no letter before or after it, as in latest or trained
_SPLIT = re.compile(r"(?:^|[^a-z])(train|val|valid|test)(?=[^a-z]|$)")


def split_from_name(name: str) -> str:
    """The split a file name tells, ``mp_20_val.csv -> "val"``; "train" when it tells none or two."""
    splits = {"val" if word == "valid" else word for word in _SPLIT.findall(name.lower())}
    return splits.pop() if len(splits) == 1 else "train"
