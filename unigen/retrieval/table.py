"""Known crystals as templates: space group, orbits, free parameters and site fingerprints, in one small file.

Columns of the Parquet file: ``id`` and ``split`` string, ``space_group`` uint8, ``lattice`` fixed_size_list<float>[6]
(Angstrom, radians, conventional cell), ``numbers`` and ``letters`` list<uint8> (an orbit each), ``free`` list<float>
(only the free parameters of each orbit), ``fingerprint`` list<uint8> (FEATURES an element, elements ascending),
``contacts`` list<uint8> (len(CONTACTS) a pair of elements), ``stability`` float (eV per atom above the hull, NaN =
unknown). Read with numpy and pyarrow alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.data.dataset_file import open_table
from unigen.data.ragged import chosen_items, items, list_items, row_index, rows_of_split
from unigen.data.ragged import numbers as number_column
from unigen.disk import durable
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.parsing import PARSER_ERRORS
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.fingerprint import CONTACTS, NEAREST, contacts, fingerprint
from unigen.shapes import Bool, Float, Int, UInt8
from unigen.symmetry.space_groups import space_group

FEATURES = 2 * NEAREST
"""Numbers in the fingerprint of an element."""

_SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "split": pa.string(),
        "space_group": pa.uint8(),
        "lattice": pa.list_(pa.float32(), 6),
        "numbers": pa.list_(pa.uint8()),
        "letters": pa.list_(pa.uint8()),
        "free": pa.list_(pa.float32()),
        "fingerprint": pa.list_(pa.uint8()),
        "contacts": pa.list_(pa.uint8()),
        "stability": pa.float32(),
    }
)

MAX_ATOMS, MAX_ORBITS = 300, 64
"""The largest known structures that are followed. A template costs by its orbits, a token or two each, not by its
atoms; atoms cost when structures are made and compared, by their square: 60 MB a structure at 300."""

UNIT = 0.02
"""Fingerprints are kept as whole multiples of this many atomic spacings, at most 255: one byte resolves a
fifth of what makes two structures different (``shortlist.SAME_KIND``) up to 5.1 spacings. Of the bundled table's
numbers three in ten thousand are farther."""


def is_followable(crystal: SymmetricCrystal) -> bool:
    """Whether it has at most ``MAX_ATOMS`` atoms in the primitive cell and ``MAX_ORBITS`` orbits."""
    return sum(crystal.counts.values()) <= MAX_ATOMS and len(crystal.letters) <= MAX_ORBITS


@dataclass(frozen=True, eq=False)
class TemplateTable:
    """Many symmetric crystals as flat columns; ``table[i]`` is one of them.

    Attributes:
        name: for messages.
        ids: one string a crystal.
        split: one string a crystal.
        space_group: international number of each crystal.
        lattice: conventional cell of each crystal (Angstrom, radians).
        offsets: orbits of crystal i are ``offsets[i]:offsets[i + 1]``.
        numbers: atomic number of each orbit.
        letters: Wyckoff letter of each orbit, 0 = 'a'.
        free: free parameters of each orbit, zeros beyond its freedom.
        element_offsets: elements of crystal i are ``element_offsets[i]:element_offsets[i + 1]``.
        elements: atomic number of each element of each crystal, ascending within a crystal.
        element_counts: atoms of it in the primitive cell.
        fingerprints: of its sites, in UNITs (``fingerprint.py``).
        contact_offsets: contacts of crystal i are ``contact_offsets[i]:contact_offsets[i + 1]``.
        contacts: how far its elements are from each other, in UNITs, all pairs of a crystal one after the other.
        stability: energy above the hull, eV per atom, NaN where unknown.
    """

    name: str
    ids: np.ndarray
    split: np.ndarray
    space_group: UInt8[np.ndarray, "crystals"]
    lattice: Float[np.ndarray, "crystals 6"]
    offsets: Int[np.ndarray, "crystals_plus_1"]
    numbers: UInt8[np.ndarray, "orbits"]
    letters: UInt8[np.ndarray, "orbits"]
    free: Float[np.ndarray, "orbits 3"]
    element_offsets: Int[np.ndarray, "crystals_plus_1"]
    elements: Int[np.ndarray, "elements"]
    element_counts: Int[np.ndarray, "elements"]
    fingerprints: UInt8[np.ndarray, "elements features"]
    contact_offsets: Int[np.ndarray, "crystals_plus_1"]
    contacts: UInt8[np.ndarray, "pairs contacts"]
    stability: Float[np.ndarray, "crystals"]

    def __len__(self) -> int:
        return len(self.space_group)

    def __getitem__(self, index: int) -> SymmetricCrystal:
        orbits = slice(self.offsets[index], self.offsets[index + 1])
        return SymmetricCrystal(
            space_group=int(self.space_group[index]),
            lattice=self.lattice[index].astype(np.float64),
            numbers=self.numbers[orbits].astype(np.int64),
            letters=self.letters[orbits].astype(np.int64),
            free=self.free[orbits].astype(np.float64),
        )

    def counts(self, index: int) -> dict[int, int]:
        """Atoms of the primitive cell by atomic number, ascending."""
        rows = slice(self.element_offsets[index], self.element_offsets[index + 1])
        return dict(zip(self.elements[rows].tolist(), self.element_counts[rows].tolist(), strict=True))

    def site_geometry(
        self, index: int, elements: Int[np.ndarray, "wanted"]
    ) -> tuple[UInt8[np.ndarray, "wanted features"], UInt8[np.ndarray, "wanted wanted contacts"]]:
        """Fingerprints of the sites of these elements of a crystal, and how far the elements are from each other."""
        start, stop = self.element_offsets[index : index + 2]
        rows = self.elements[start:stop].searchsorted(elements)
        pairs = self.contacts[self.contact_offsets[index] : self.contact_offsets[index + 1]]
        return self.fingerprints[start + rows], pairs.reshape(stop - start, stop - start, -1)[rows[:, None], rows]

    @property
    def compositions(self) -> Compositions:
        """What the neighbour index and the volume model need."""
        width = np.diff(self.element_offsets)
        return Compositions(
            owner=np.repeat(np.arange(len(self)), width),
            number=self.elements,
            count=self.element_counts,
            volume=self.volume,
            stability=self.stability,
        )

    @property
    def volume(self) -> Float[np.ndarray, "crystals"]:
        """Of the primitive cells, cubic Angstrom."""
        centred = np.array([1.0] + [np.linalg.det(space_group(number).to_primitive) for number in range(1, 231)])
        return np.linalg.det(lattice_matrix(self.lattice.astype(np.float64))) * centred[self.space_group]

    def volume_of(self, index: int) -> float:
        """Of one primitive cell, cubic Angstrom."""
        centred = np.linalg.det(space_group(int(self.space_group[index])).to_primitive)
        return float(np.linalg.det(lattice_matrix(self.lattice[index].astype(np.float64))) * centred)

    @property
    def num_atoms(self) -> Int[np.ndarray, "crystals"]:
        """Atoms of each primitive cell."""
        return np.add.reduceat(self.element_counts, self.element_offsets[:-1])

    @property
    def followable(self) -> Bool[np.ndarray, "crystals"]:
        """Which crystals have at most ``MAX_ATOMS`` atoms and ``MAX_ORBITS`` orbits; the others are not retrieved."""
        return (self.num_atoms <= MAX_ATOMS) & (np.diff(self.offsets) <= MAX_ORBITS)

    def select(self, keep: np.ndarray) -> TemplateTable:
        """The crystals at these indices (or where a boolean mask holds), in that order."""
        index = row_index(keep)
        offsets, orbits = chosen_items(self.offsets, index)
        element_offsets, elements = chosen_items(self.element_offsets, index)
        contact_offsets, pairs = chosen_items(self.contact_offsets, index)
        per_crystal = {n: getattr(self, n)[index] for n in ("ids", "split", "space_group", "lattice", "stability")}
        per_orbit = {n: getattr(self, n)[orbits] for n in ("numbers", "letters", "free")}
        per_element = {n: getattr(self, n)[elements] for n in ("elements", "element_counts", "fingerprints")}
        return TemplateTable(
            name=self.name,
            offsets=offsets,
            element_offsets=element_offsets,
            contact_offsets=contact_offsets,
            contacts=self.contacts[pairs],
            **per_crystal,
            **per_orbit,
            **per_element,
        )

    def joined(self, other: TemplateTable) -> TemplateTable:
        """These crystals and then those of another table."""
        whole: dict[str, np.ndarray] = {}
        for each in fields(self):
            if each.name == "name":
                continue
            first, second = getattr(self, each.name), getattr(other, each.name)
            is_offset = each.name.endswith("offsets")
            whole[each.name] = np.concatenate([first, second[1:] + first[-1]] if is_offset else [first, second])
        return TemplateTable(name=self.name, **whole)

    def only(self, split: str) -> TemplateTable:
        """The crystals of one split; raises UserError, naming the splits there are, when it is empty."""
        return self.select(rows_of_split(self.split, split, self.name))


@dataclass(frozen=True, eq=False)
class SiteGeometry:
    """Fingerprints of the sites of each element of a crystal, ascending, and contacts of all pairs, in UNITs."""

    fingerprints: UInt8[np.ndarray, "elements features"]
    contacts: UInt8[np.ndarray, "elements elements contacts"]

    @classmethod
    def of(cls, crystal: SymmetricCrystal) -> SiteGeometry:
        """Of a symmetric crystal."""
        atoms = crystal.to_crystal()
        parts = (atoms.frac_coords, atoms.lattice, atoms.numbers, np.unique(atoms.numbers))
        return cls(_in_units(fingerprint(*parts)), _in_units(contacts(*parts)))


def _in_units(distances: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    return np.minimum(np.rint(distances / UNIT), 255).astype(np.uint8)


def write_table(
    path: Path,
    crystals: list[SymmetricCrystal],
    site_geometries: list[SiteGeometry],
    ids: list[str],
    split: list[str],
    stability: Float[np.ndarray, "crystals"],
) -> None:
    """Write a table, whole or not at all."""
    columns = {
        "id": ids,
        "split": split,
        "space_group": [crystal.space_group for crystal in crystals],
        "lattice": [crystal.lattice.tolist() for crystal in crystals],
        "numbers": [crystal.numbers.tolist() for crystal in crystals],
        "letters": [crystal.letters.tolist() for crystal in crystals],
        "free": [_free_parameters(crystal) for crystal in crystals],
        "fingerprint": [sites.fingerprints.ravel().tolist() for sites in site_geometries],
        "contacts": [sites.contacts.ravel().tolist() for sites in site_geometries],
        "stability": stability,
    }
    with durable(path) as partial:
        # written once and shipped beside weights: worth the time of a high level
        pq.write_table(pa.table(columns, schema=_SCHEMA), partial, compression="zstd", compression_level=12)


def rewrite_table(path: Path, table: TemplateTable) -> None:
    """Write a table that was read, such as a selection of another one."""
    rows = range(len(table))
    elements = [np.array(list(table.counts(row))) for row in rows]
    sites = [SiteGeometry(*table.site_geometry(row, elements[row])) for row in rows]
    crystals = [table[row] for row in rows]
    write_table(path, crystals, sites, table.ids.tolist(), table.split.tolist(), table.stability)


def _free_parameters(crystal: SymmetricCrystal) -> list[float]:
    dof = space_group(crystal.space_group).dof[crystal.letters]
    return crystal.free[np.arange(3) < dof[:, None]].tolist()


def read_table(path: Path) -> TemplateTable:
    """Read a table.

    Raises:
        UserError: not there, or not a table of templates.
    """
    next_step = "run: unigen data templates"
    noun = "a table of templates"
    file, where = open_table(path, tuple(_SCHEMA.names), noun, next_step), f"{path}: not {noun}"
    lists = ("numbers", "letters", "free", "fingerprint", "contacts")
    flat = {name: list_items(file, name, _SCHEMA.field(name).type.value_type, where) for name in lists}
    groups, ids, split = (items(file, name, _SCHEMA.field(name).type, where) for name in ("space_group", "id", "split"))
    lattice, _ = list_items(file, "lattice", pa.float32(), where, width=6)
    (numbers, offsets), (letters, letter_offsets) = flat["numbers"], flat["letters"]
    if not len(groups) or len(lattice) != 6 * len(groups) or not np.array_equal(offsets, letter_offsets):
        raise UserError("lists disagree in length", where=where, next_step=next_step)
    lattice = lattice.reshape(-1, 6)
    freedom, multiplicity = _orbit_properties(np.repeat(groups, np.diff(offsets)), letters, where)
    owner = np.repeat(np.arange(len(groups)), np.diff(offsets))
    # one key a (crystal, element) pair: atomic numbers are below 256
    keys, inverse = np.unique(owner * 256 + numbers, return_inverse=True)
    element_offsets = np.searchsorted(keys // 256, np.arange(len(groups) + 1))
    elements = np.diff(element_offsets)
    wanted = {
        "free": np.bincount(owner, weights=freedom, minlength=len(groups)),
        "fingerprint": FEATURES * elements,
        "contacts": len(CONTACTS) * elements**2,
    }
    for name, lengths in wanted.items():
        if not np.array_equal(np.diff(flat[name][1]), lengths):
            raise UserError(f"{name} of another length", where=where, next_step=next_step)
    volume = np.linalg.det(lattice_matrix(lattice.astype(np.float64)))
    sound = np.isfinite(lattice).all(1) & (lattice[:, :3] > 0).all(1) & (volume > 0) & (elements > 0)
    known = (numbers > 0) & (numbers < len(SYMBOLS))
    if not (sound.all() and known.all() and np.isfinite(flat["free"][0]).all()):
        raise UserError(
            "a crystal without atoms, volume or known elements",
            where=where,
            next_step=next_step,
        )
    parameters = np.zeros((len(letters), 3), dtype=np.float32)
    parameters[np.arange(3) < freedom[:, None]] = flat["free"][0]
    return TemplateTable(
        name=str(path),
        ids=ids,
        split=split,
        space_group=groups,
        lattice=lattice,
        offsets=offsets,
        numbers=numbers,
        letters=letters,
        free=parameters,
        element_offsets=element_offsets,
        elements=keys % 256,
        element_counts=np.bincount(inverse, weights=multiplicity).astype(np.int64),
        fingerprints=flat["fingerprint"][0].reshape(-1, FEATURES),
        contact_offsets=flat["contacts"][1] // len(CONTACTS),
        contacts=flat["contacts"][0].reshape(-1, len(CONTACTS)),
        stability=number_column(file, "stability", where),
    )


def is_table(path: Path) -> bool:
    """Whether a file is a table of templates (and not, say, a dataset)."""
    try:
        return set(_SCHEMA.names) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, *PARSER_ERRORS):
        return False


def _orbit_properties(
    groups: UInt8[np.ndarray, "orbits"], letters: UInt8[np.ndarray, "orbits"], where: str
) -> tuple[Int[np.ndarray, "orbits"], Int[np.ndarray, "orbits"]]:
    """Freedom and multiplicity (primitive cell) of every orbit; raises UserError where a group has no such letter."""
    if len(groups) and not (groups.min() >= 1 and groups.max() <= 230 and letters.max() < 27):
        raise UserError("no such space group or letter", where=where)
    # by number of the space group and letter: at most 27 positions, a to z and A of group 47 (Pmmm)
    freedom, multiplicity = np.zeros((231, 27), dtype=np.int64), np.zeros((231, 27), dtype=np.int64)
    for number in np.unique(groups).tolist():
        group = space_group(number)
        freedom[number, : len(group.dof)] = group.dof
        multiplicity[number, : len(group.dof)] = group.primitive_multiplicity
    if not multiplicity[groups, letters].all():
        raise UserError("a letter that its space group has not", where=where)
    return freedom[groups, letters], multiplicity[groups, letters]
