"""Crystals from and to CIF (the Crystallographic Information Framework), read through gemmi.

`parse_cif` reads the one structure of a file. What a block says twice is compared: the operators with the symbols, both
with the cell; the expanded sites with the declared formula. Where they leave several readings (`cif_symmetry`), those
that contradict the formula, the number of formula units or the multiplicities drop out, and two that still differ are
refused: nothing is guessed, moved or left out in silence.

Sources: Hall, Allen and Brown, Acta Cryst. A47, 655 (1991); International Tables for Crystallography G (2005), core
dictionary (``_atom_site_*``, ``_space_group_*``).
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from dataclasses import dataclass
from math import gcd
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unigen.crystals.cell import Cell, find_space_group, smallest_distance, wrap
from unigen.crystals.cif_symmetry import Operations, Reading, Told, fits_cell, readings
from unigen.elements import ATOMIC_NUMBER, SMALLEST_DISTANCE, SYMBOLS, atomic_number_of
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, one_line
from unigen.shapes import Bool, Float, Int

if TYPE_CHECKING:
    from pymatgen.core import Structure

LARGEST_MERGE = 0.4
"""Angstrom; images of a site are one atom when they are closer than `SMALLEST_DISTANCE`, or than its digits can tell,
but never farther apart than this (gemmi's own bound): half of the shortest bond there is."""

MOST_ATOMS = 100_000
"""In a cell, with all images; the largest cells of databases have some thousands."""

_NO_CRYSTAL = 0.5
"""Angstrom; a reading that brings atoms closer than this is none, where another reading does not."""


def parse_cif(text: str, where: str) -> Cell:
    """The one structure of a CIF, all atoms of its cell, in the order of its sites; blocks without atoms are passed by.

    Args:
        text: the file.
        where: file and entry, for messages.

    Raises:
        UserError: no CIF, no structure or several; a site without place, element or full occupancy; a superspace or
            magnetic group, a macromolecule; a cell, group or formula that contradict each other or leave several
            structures possible.
    """
    blocks = [block for block in _blocks(text, where) if block.holds_atoms]
    if not blocks:
        raise UserError("not a readable CIF", where=where, got="no atom sites", wanted="a block of atom sites")
    if len(blocks) > 1:
        raise UserError(
            f"{len(blocks)} structures in one CIF",
            where=where,
            got=", ".join(block.name for block in blocks[:5]),
            wanted="one a file",
            next_step="write each data_ block to a file of its own",
        )
    return _structure(blocks[0], where)


def write_cif(structure: Structure, symprec: float | None = None) -> str:
    """CIF text; with ``symprec`` (Angstrom) of the conventional symmetrised cell, P1 where no symmetry can be found."""
    from pymatgen.io.cif import CifWriter
    from pymatgen.symmetry.analyzer import SymmetryUndeterminedError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no electronegativity of helium, how spglib will report failures one day, ...
        try:
            return str(CifWriter(structure, symprec=symprec))
        except SymmetryUndeterminedError:  # atoms on top of each other, say
            return str(CifWriter(structure))


@dataclass(frozen=True)
class _Block:
    """The values of a data block by tag: lower case, with the dots of the newer dictionaries as underscores."""

    name: str
    values: dict[str, list[str]]

    @property
    def holds_atoms(self) -> bool:
        return any(tag.startswith(("_atom_site_fract_", "_atom_site_cartn_")) for tag in self.values)

    def first(self, *tags: str) -> str:
        """The first of the tags that says something, else nothing."""
        for tag in tags:
            for value in self.values.get(tag, ())[:1]:
                if value:
                    return value
        return ""

    def column(self, tag: str, rows: int) -> list[str]:
        """The values of the atom sites, empty where they are not told."""
        values = self.values.get(tag, [])
        return values if len(values) == rows else [""] * rows


def _blocks(text: str, where: str) -> list[_Block]:
    from gemmi import cif

    # gemmi takes ASCII alone outside text fields; nothing that is read here needs more, but for a minus or an overline
    text = re.sub(r"(\d)\u0305", r"-\1", text).translate({0x2212: "-", 0x2013: "-", 0x1A: None})
    text = text.encode("ascii", "replace").decode()
    try:
        try:
            document = cif.read_string(text)
        except ValueError:
            document = cif.read_string(_quoted(text))
    except PARSER_ERRORS as error:
        raise UserError("not a readable CIF", where=where, got=one_line(error).removeprefix("string:")) from error
    return [_block(block) for block in document]


_BARE = re.compile(r"(_[^\s]+)[ \t]+([^\s'\"#;_][^'\"#\n]*?[ \t][^'\"#\n]*?)[ \t]*")


def _quoted(text: str) -> str:
    """The text with quotes around values of several words that lack them: ``_symmetry_space_group_name_H-M P 21/c``."""
    lines, inside = [], False
    for line in text.split("\n"):
        if line.startswith(";"):
            inside = not inside
        bare = None if inside else _BARE.fullmatch(line)
        lines.append(f"{bare[1]} '{bare[2]}'" if bare else line)
    return "\n".join(lines)


def _block(block: object) -> _Block:
    from gemmi import cif

    values: dict[str, list[str]] = {}
    for item in block:  # type: ignore[attr-defined]
        if item.pair is not None:
            columns = {item.pair[0]: [item.pair[1]]}
        elif item.loop is not None:
            tags = item.loop.tags
            columns = {tag: item.loop.values[index :: len(tags)] for index, tag in enumerate(tags)}
        else:
            continue
        for tag, column in columns.items():
            key = tag.lower().replace(".", "_")
            if key in values:
                raise UserError(f"told twice in data_{block.name}: {tag}")  # type: ignore[attr-defined]
            values[key] = ["" if cif.is_null(value) else cif.as_string(value).strip() for value in column]
    return _Block(block.name.strip(), values)  # type: ignore[attr-defined]


def _structure(block: _Block, where: str) -> Cell:
    _refuse_other_kinds(block, where)
    lattice = _lattice(block, where)
    formula = _formula(block)
    sites = _sites(block, formula, where)
    told = Told(_triplets(block), *(block.first(*tags) for tags in (_HALL, _SYMBOL, _NUMBER)))
    found = readings(told, where)
    fitting = [reading for reading in found if fits_cell(reading.operations, lattice)]
    if not fitting:
        raise _misfit(found, block, where)
    expanded = [_expand(reading, sites, lattice, where) for reading in _one_axis(fitting)]
    return _decide(expanded, found, formula, block, sites, where).cell


_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_SYMBOL = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_full",
    "_symmetry_space_group_name_h-m_full",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m",
)
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number", "_space_group_int_tables_number")
_OPERATORS = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")


def _refuse_other_kinds(block: _Block, where: str) -> None:
    """Blocks whose atoms are no plain three-dimensional crystal, although their sites would look like one."""
    dimension = block.first("_cell_modulation_dimension")
    if (dimension and dimension != "0") or any(tag.startswith("_space_group_ssg_") for tag in block.values):
        raise UserError(
            "a modulated structure in superspace", where=where, wanted="a structure periodic in three dimensions"
        )
    if any(
        tag.startswith(("_space_group_magn", "_space_group_symop_magn", "_parent_space_group")) for tag in block.values
    ):
        raise UserError(
            "a magnetic structure (magnetic space group)", where=where, wanted="a CIF of the nuclear structure"
        )
    if not block.values.get("_atom_site_fract_x"):
        raise UserError(
            "sites in Cartesian coordinates (as in mmCIF of macromolecules)",
            where=where,
            wanted="_atom_site_fract_x, _y, _z",
        )


def _triplets(block: _Block) -> tuple[str, ...]:
    for tag in _OPERATORS:
        values = block.values.get(tag, [])
        if any(values):
            if len(values) % 3 == 0 and all(value.count(",") < 2 for value in values):
                values = "".join(value if value.count(",") else value + ";" for value in values).strip(";").split(";")
            return tuple(values)
    return ()


def _number(text: str) -> float:
    """A number without its standard uncertainty, or a plain fraction; NaN for anything else."""
    from gemmi import cif

    fraction = re.fullmatch(r"([+-]?\d{1,3})/(\d{1,3})", text)
    if fraction is not None and int(fraction[2]):
        return int(fraction[1]) / int(fraction[2])
    return float(cif.as_number(text))


def _cell_text(block: _Block, kind: str) -> str:
    names = ("a", "b", "c") if kind == "length" else ("alpha", "beta", "gamma")
    return " ".join(block.first(f"_cell_{kind}_{name}") or "?" for name in names)


def _lattice(block: _Block, where: str) -> Float[np.ndarray, "3 3"]:
    """Right-handed rows; c along z and a in the xz plane, as pymatgen writes them."""
    lengths = np.array([_number(block.first(f"_cell_length_{axis}")) for axis in "abc"])
    names = ("alpha", "beta", "gamma")
    degrees = np.array([_number(block.first(f"_cell_angle_{name}") or "90") for name in names])  # 90 is its default
    cosines = np.cos(np.radians(degrees))
    with np.errstate(invalid="ignore"):
        volume = 1.0 - (cosines**2).sum() + 2.0 * cosines.prod()  # squared, of a cell with edges of 1
    # 1e-6: flatter than any lattice; NaN must fail each of these
    if not (
        (lengths > 0).all() and np.isfinite(lengths).all() and ((degrees > 0) & (degrees < 180)).all() and volume > 1e-6
    ):
        raise UserError(
            "no such cell",
            where=where,
            got=f"a b c {_cell_text(block, 'length')}, angles {_cell_text(block, 'angle')}",
            wanted="three lengths above 0 and angles that close a cell",
        )
    a, b, c = lengths
    ca, cb, cg = np.where(degrees == 90.0, 0.0, cosines)
    sa, sb = np.sqrt(1.0 - ca**2), np.sqrt(1.0 - cb**2)
    star = np.clip((ca * cb - cg) / (sa * sb), -1.0, 1.0)  # cosine of gamma of the reciprocal cell
    return np.array([[a * sb, 0.0, a * cb], [-b * sa * star, b * sa * np.sqrt(1.0 - star**2), b * ca], [0.0, 0.0, c]])


class _Formula(NamedTuple):
    """``_chemical_formula_sum`` by atomic number, and the formula units in a cell (0: not told)."""

    text: str
    amounts: dict[int, float]
    units: float


_AMOUNT = re.compile(r"\s*([A-Z][a-z]?)\s*(\d+\.?\d*|\.\d+)?(?=[\sA-Z]|$)")


def _formula(block: _Block) -> _Formula | None:
    """None where none is declared, or none that can be read: it then says nothing about the sites."""
    text = block.first("_chemical_formula_sum")
    position, amounts = 0, Counter[int]()
    while position < len(text.rstrip()):
        token = _AMOUNT.match(text, position)
        number = atomic_number_of(token[1]) if token else None
        if token is None or number is None:
            return None
        amounts[number] += float(token[2] or 1)  # type: ignore[assignment]
        position = token.end()
    positive = {number: float(amount) for number, amount in amounts.items() if amount > 0}
    units = _number(block.first("_cell_formula_units_z"))
    return _Formula(text, positive, units if units > 0 else 0.0) if positive else None


class _Sites(NamedTuple):
    """The atom sites of a block.

    Attributes:
        merge: Angstrom; images of the site closer than this are one atom.
        multiplicity: as the block declares it, 0 where it does not.
    """

    labels: list[str]
    numbers: Int[np.ndarray, "sites"]
    coords: Float[np.ndarray, "sites 3"]
    merge: Float[np.ndarray, "sites"]
    multiplicity: Int[np.ndarray, "sites"]


def _sites(block: _Block, formula: _Formula | None, where: str) -> _Sites:
    rows = len(block.values["_atom_site_fract_x"])
    texts = [block.column(f"_atom_site_fract_{axis}", rows) for axis in "xyz"]
    types = block.column("_atom_site_type_symbol", rows)
    labels = block.column("_atom_site_label", rows)
    names = [label or kind or str(index) for index, (label, kind) in enumerate(zip(labels, types, strict=True))]
    coords = np.array([[_number(text) for text in axis] for axis in texts]).T.reshape(rows, 3)
    for index in np.flatnonzero(~np.isfinite(coords).all(axis=1))[:1]:
        raise UserError(
            f"site {index} ({names[index]}): no place", where=where, got=" ".join(axis[index] or "?" for axis in texts)
        )
    for index, (name, occupancy, flag, hydrogens) in enumerate(
        zip(
            names,
            block.column("_atom_site_occupancy", rows),
            block.column("_atom_site_calc_flag", rows),
            block.column("_atom_site_attached_hydrogens", rows),
            strict=True,
        )
    ):
        site = f"site {index}"
        if flag.lower() == "dum":
            raise UserError(f"{site}: a dummy, no atom", where=where, got=name, next_step="remove it from the file")
        if hydrogens and _number(hydrogens) != 0:
            raise UserError(
                f"{site}: hydrogen without a place", where=where, got=f"{name} with {hydrogens} attached hydrogens"
            )
        amount = _number(occupancy or "1")
        if not abs(amount - 1.0) <= 1e-3:  # three digits are the most that files give
            what = "occupancy 0" if amount == 0 else "partial occupancy"
            raise UserError(f"{site}: {what}", where=where, got=f"{name} {occupancy}", wanted="one element a site")
    _refuse_alternatives(block, rows, where)
    numbers = [
        _element(index, kind, label, formula, where)
        for index, (kind, label) in enumerate(zip(types, labels, strict=True))
    ]
    _refuse_implied_hydrogen(numbers, names, formula, where)
    digits = np.array([[len(text.partition("(")[0].partition(".")[2]) for text in axis] for axis in texts]).T
    # 0.33 may be anything from 0.325 to 0.335; what has fewer digits (0.5, 0) is meant as it is written
    rounding = 0.5 * 10.0 ** -np.clip(digits.reshape(rows, 3), 2, 9)
    lengths = np.array([_number(block.first(f"_cell_length_{axis}")) for axis in "abc"])
    merge = np.clip(2.0 * rounding @ lengths, SMALLEST_DISTANCE, LARGEST_MERGE)
    declared = block.column("_atom_site_symmetry_multiplicity", rows)
    multiplicity = np.array([int(text) if text.isdigit() else 0 for text in (each[:6] for each in declared)])
    return _Sites(names, np.array(numbers), coords, merge, multiplicity)


def _refuse_alternatives(block: _Block, rows: int, where: str) -> None:
    """Sites of different disorder groups stand for each other, whatever their occupancies say."""
    groups: dict[str, set[str]] = {}
    for assembly, group in zip(
        block.column("_atom_site_disorder_assembly", rows),
        block.column("_atom_site_disorder_group", rows),
        strict=True,
    ):
        if group and group != "0":
            groups.setdefault(assembly, set()).add(group)
    for found in groups.values():
        if len(found) > 1 or any(group.startswith("-") for group in found):
            raise UserError(
                "disorder", where=where, got=f"disorder groups {', '.join(sorted(found))}", wanted="one place an atom"
            )


_NO_ATOM = re.compile(r"(vac|void|dum|du|x+|q|bq|cnt|cg|wat|water|h2o|hoh|aq)[\W\d_]*", re.IGNORECASE)
"""Labels of what is no atom, or of a whole molecule, although some begin like an element."""

_WITH_HYDROGEN = re.compile(r"(o-?h|h-?o|ow|wat|water|h2o|hoh|aq)(?![a-z])", re.IGNORECASE)
"""Labels of an oxygen that carries hydrogen."""


def _element(index: int, kind: str, label: str, formula: _Formula | None, where: str) -> int:
    """The atomic number of a site: by its type symbol, else by its label."""
    number = atomic_number_of(kind) if kind else None
    if number is None and kind:
        number = atomic_number_of(kind.rstrip("0123456789"))  # the label in the wrong column: Na1
    if number is None and not kind:
        number = _element_of_label(label, formula)
    if number is None:
        raise UserError(
            f"site {index}: unknown species",
            where=where,
            got=kind or label or "nothing",
            wanted="the symbol of an element"
            if kind
            else "_atom_site_type_symbol, or a label that begins with a symbol",
        )
    return number


def _element_of_label(label: str, formula: _Formula | None) -> int | None:
    """The element with which a label begins, where only one can be meant: Na1, Fe01, O1A, SiT; None otherwise.

    ``NA1`` may be sodium or a nitrogen, ``OB`` an oxygen or osmium's neighbour: the declared formula decides. T is a
    tetrahedral site, not tritium.
    """
    letters = re.match(r"[A-Za-z]*", label)[0]  # type: ignore[index]
    if not letters or _NO_ATOM.fullmatch(label) or letters == "T":
        return None
    if letters in ATOMIC_NUMBER or letters == "D":
        alone = atomic_number_of(letters)
        return alone if formula is None or alone in formula.amounts else _first_declared(letters, formula)
    if formula is not None:
        return _first_declared(letters, formula)
    two = ATOMIC_NUMBER.get(letters[:2].capitalize()) if len(letters) > 1 else None
    one = ATOMIC_NUMBER.get(letters[0].upper())
    if two is not None and letters[1].islower():  # SiT: no symbol has three letters, but NaK is two elements
        return two if letters[2:].capitalize() not in SYMBOLS else None
    # OA and Ow1 name sites; OB, OC, OH may name two elements, HO and NA one or the other
    if two is None and letters[1:].capitalize() not in ATOMIC_NUMBER:
        return one
    return None


def _first_declared(letters: str, formula: _Formula) -> int | None:
    """The element of the formula with which the letters begin, where there is exactly one."""
    starts = {letters[:2].capitalize(), letters[0].upper()}
    numbers = {number for start in starts if (number := atomic_number_of(start)) is not None}
    declared = numbers & formula.amounts.keys()
    return declared.pop() if len(declared) == 1 else None


def _refuse_implied_hydrogen(numbers: list[int], names: list[str], formula: _Formula | None, where: str) -> None:
    """A label that speaks of OH or water, where the file has no hydrogen at all: atoms would be lost."""
    if 1 in numbers or (formula is not None and 1 not in formula.amounts):
        return
    for index, (number, name) in enumerate(zip(numbers, names, strict=True)):
        if number == 8 and _WITH_HYDROGEN.match(name):
            raise UserError(
                f"site {index}: hydrogen without a place", where=where, got=f"{name}, and no site of hydrogen"
            )


@dataclass(frozen=True, eq=False)
class _Expanded:
    """What a reading makes of the sites.

    Attributes:
        cell: all atoms, in the order of their sites.
        site: index of the site of each atom.
        conflict: sites whose images lie on top of each other, without which nothing is wrong.
    """

    reading: Reading
    cell: Cell
    site: Int[np.ndarray, "atoms"]
    conflict: str = ""

    @property
    def counts(self) -> Counter[int]:
        return Counter(self.cell.numbers.tolist())


def _expand(reading: Reading, sites: _Sites, lattice: Float[np.ndarray, "3 3"], where: str) -> _Expanded:
    """All images of all sites; images of one site that coincide are one atom, on the special position between them."""
    operations = reading.operations
    if len(sites.numbers) * len(operations.rotations) > MOST_ATOMS:
        raise UserError(
            f"more than {MOST_ATOMS:,} atoms in a cell",
            where=where,
            got=f"{len(sites.numbers)} sites in {operations.symbol}",
        )
    if len(operations.rotations) == 1:
        return _Expanded(reading, Cell(lattice, wrap(sites.coords), sites.numbers), np.arange(len(sites.numbers)))
    images, near = _special_positions(operations, sites, lattice)
    orbits = [
        image[_distinct(image)] if stabiliser.sum() > 1 else image
        for image, stabiliser in zip(images, near, strict=True)
    ]
    site = np.repeat(np.arange(len(orbits)), [len(orbit) for orbit in orbits])
    cell = Cell(lattice, wrap(np.concatenate(orbits)), sites.numbers[site])
    close = _close_pairs(cell, SMALLEST_DISTANCE)
    between = close[site[close[:, 0]] != site[close[:, 1]]]
    if not len(between):
        return _Expanded(reading, cell, site)
    # A file may list every atom of the cell beside the operators: then each atom of each orbit is on one site.
    listed = Cell(lattice, wrap(sites.coords), sites.numbers)
    merged = len({frozenset(group) for group in _groups(len(site), close)})
    same = (cell.numbers[between[:, 0]] == cell.numbers[between[:, 1]]).all()
    if same and merged == len(sites.numbers) and not len(_close_pairs(listed, SMALLEST_DISTANCE)):
        return _Expanded(reading, listed, np.arange(len(sites.numbers)))
    first, second = (sites.labels[site[index]] for index in between[0])
    return _Expanded(reading, cell, site, conflict=f"{first} and {second}")


def _special_positions(
    operations: Operations, sites: _Sites, lattice: Float[np.ndarray, "3 3"]
) -> tuple[Float[np.ndarray, "sites operations 3"], Bool[np.ndarray, "sites operations"]]:
    """The images of all sites, and which of them are the site itself, after each was moved to its special position.

    The mean of the images that coincide is on all symmetry elements they lie on. Where it comes close to more of them
    it is taken again, so that what coincides is a group and the number of images follows the Wyckoff position.
    """
    coords = sites.coords
    for _ in range(8):  # each turn adds elements of symmetry, of which at most 48 meet in a point
        images = np.einsum("oij,sj->soi", operations.rotations, coords) + operations.translations
        offset = images - coords[:, None]
        offset -= np.round(offset)
        near = np.linalg.norm(offset @ lattice, axis=-1) < sites.merge[:, None]
        moved = (offset * near[..., None]).sum(axis=1) / near.sum(axis=1, keepdims=True)
        if abs(moved).max() < 1e-12:
            break
        coords = coords + moved
    return images, near


def _distinct(points: Float[np.ndarray, "points 3"]) -> Bool[np.ndarray, "points"]:
    """Which points are not a translate of an earlier one; exact but for rounding."""
    difference = points[:, None] - points
    difference -= np.round(difference)
    same = (abs(difference) < 1e-6).all(axis=-1)
    return same.argmax(axis=1) == np.arange(len(points))


def _close_pairs(cell: Cell, radius: float) -> Int[np.ndarray, "pairs 2"]:
    """The pairs of atoms closer than ``radius``, where that is less than half of the cell's height."""
    from scipy.spatial import cKDTree

    # a vector of length r has fractional coordinates of length up to r / (smallest singular value of the lattice)
    reach = radius / np.linalg.svd(cell.lattice, compute_uv=False)[-1]
    tree = cKDTree(np.mod(cell.frac_coords, 1.0) % 1.0, boxsize=1.0)
    pairs = tree.query_pairs(min(reach, 0.499), output_type="ndarray")
    difference = cell.frac_coords[pairs[:, 0]] - cell.frac_coords[pairs[:, 1]]
    difference -= np.round(difference)
    return pairs[np.linalg.norm(difference @ cell.lattice, axis=1) < radius]


def _groups(atoms: int, pairs: Int[np.ndarray, "pairs 2"]) -> list[list[int]]:
    """The atoms that pairs connect, one list a connected set."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(atoms, atoms))
    count, group = connected_components(graph, directed=False)
    return [np.flatnonzero(group == index).tolist() for index in range(count)]


def _one_axis(fitting: list[Reading]) -> list[Reading]:
    """Of the unique axes that one short monoclinic symbol may mean, and the cell allows, the first: b."""
    kept: list[Reading] = []
    for reading in fitting:
        monoclinic = 3 <= reading.operations.number <= 15
        if not (monoclinic and any(reading.told == other.told for other in kept)):
            kept.append(reading)
    return kept


def _misfit(found: list[Reading], block: _Block, where: str) -> UserError:
    reading = next(each for each in found if not each.identity)
    return UserError(
        f"the cell has not the symmetry of {reading.operations.symbol}, told by {reading.told}",
        where=where,
        got=f"a b c {_cell_text(block, 'length')}, angles {_cell_text(block, 'angle')}",
    )


def _decide(
    expanded: list[_Expanded], found: list[Reading], formula: _Formula | None, block: _Block, sites: _Sites, where: str
) -> _Expanded:
    """The one reading that contradicts nothing the block says; raises UserError where none or several do."""
    sound = [each for each in expanded if not each.conflict]
    if not sound:
        raise UserError(
            "two sites of the file are the same place",
            where=where,
            got=f"{expanded[0].conflict} under the operations of {expanded[0].reading.operations.symbol}",
            next_step="keep one of them",
        )
    best = max(_agreement(each, formula) for each in sound)
    left = [each for each in sound if _agreement(each, formula) == best]
    if formula is not None and (
        best == _OTHER_ELEMENTS or (best == _OTHER_AMOUNT and not _is_certain(left[0].reading))
    ):
        raise _contradiction(left[0], formula, where)
    if best < _AGREES and left[0].reading.identity:
        # all atoms listed, or only the asymmetric unit? The former have the symmetry that the symbol tells.
        numbers = {reading.operations.number for reading in found if not reading.identity}
        whole = any(find_space_group(left[0].cell, symprec).number in numbers for symprec in (0.01, 0.1))
        if not whole and len(found) > len(expanded) and len(left) == 1:
            raise _misfit(
                [each for each in found if not fits_cell(each.operations, left[0].cell.lattice)], block, where
            )
        if not whole:
            left = left[1:]
    left = _apart(_with_multiplicities(_different(left), sites))
    if len(left) == 1:
        return left[0]
    if not left:
        raise UserError(
            "'x, y, z' alone, and sites that are neither all atoms nor one of each kind",
            where=where,
            got=f"{next(each.conflict for each in expanded if each.conflict)} are images of each other in "
            f"{next(each.operations.symbol for each in found if not each.identity)}",
            next_step="list the operators or all atoms",
        )
    ways = [f"{each.reading.told}: {_text(each.counts)}" for each in left[:3]]
    raise UserError(
        "the CIF does not tell which structure is meant",
        where=where,
        got="; ".join(ways),
        next_step="list the symmetry operators, or add _chemical_formula_sum and _cell_formula_units_Z",
    )


_AGREES, _SILENT, _OTHER_AMOUNT, _OTHER_ELEMENTS = 3, 2, 1, 0


def _agreement(expanded: _Expanded, formula: _Formula | None) -> int:
    """What the declared formula says of a reading.

    The formula is of a unit, or of the whole cell (as pymatgen and ASE write it); where the number of units is told
    the atoms must be as many as one of these. Amounts are compared to 0.5 %: a third is written as 0.333.
    """
    if formula is None:
        return _SILENT
    counts, amounts = expanded.counts, formula.amounts
    ratio = counts.total() / sum(amounts.values())
    if counts.keys() != amounts.keys() or any(
        abs(counts[number] - ratio * amount) > 0.005 * counts[number] for number, amount in amounts.items()
    ):
        return _OTHER_ELEMENTS
    whole = [round(amount) for amount in amounts.values() if abs(amount - round(amount)) < 1e-6]
    units = gcd(*whole) if len(whole) == len(amounts) else 1
    if abs(ratio - 1.0) < 0.005 and units > 1 and (not formula.units or units % formula.units == 0):
        return _AGREES
    if not formula.units:
        return _SILENT
    return _AGREES if abs(ratio - formula.units) < 0.005 * ratio else _OTHER_AMOUNT


def _is_certain(reading: Reading) -> bool:
    """A group that operators and symbols tell alike: a wrong number of formula units does not make it doubtful."""
    return reading.confirmed and len(reading.operations.rotations) > 1


def _contradiction(expanded: _Expanded, formula: _Formula, where: str) -> UserError:
    """The error that names what the sites lack, have too much, or in other amounts."""
    counts = expanded.counts
    missing = [SYMBOLS[number] for number in sorted(formula.amounts.keys() - counts.keys())]
    undeclared = [SYMBOLS[number] for number in sorted(counts.keys() - formula.amounts.keys())]
    if missing:
        what = f"no site of {', '.join(missing)}, which the declared formula has"
    elif undeclared:
        what = f"sites of {', '.join(undeclared)}, which the declared formula has not"
    else:
        what = "the sites contradict the declared formula"
    units = f" with Z {formula.units:g}" if formula.units else ""
    return UserError(
        what,
        where=where,
        got=f"{_text(counts)} in the cell ({expanded.reading.told}), declared {' '.join(formula.text.split())!r}{units}",
    )


def _text(counts: Counter[int]) -> str:
    return " ".join(f"{SYMBOLS[number]}{counts[number]}" for number in sorted(counts))


def _different(expanded: list[_Expanded]) -> list[_Expanded]:
    """Without those that are the same atoms at the same places as an earlier one."""
    kept: list[_Expanded] = []
    for each in expanded:
        if not any(_same(each.cell, other.cell) for other in kept):
            kept.append(each)
    return kept


def _same(first: Cell, second: Cell) -> bool:
    if sorted(first.numbers) != sorted(second.numbers):
        return False
    both = Cell(
        first.lattice,
        np.concatenate([first.frac_coords, second.frac_coords]),
        np.concatenate([first.numbers, second.numbers]),
    )
    pairs = np.sort(_close_pairs(both, SMALLEST_DISTANCE), axis=1)
    across = pairs[(pairs[:, 0] < len(first.numbers)) & (pairs[:, 1] >= len(first.numbers))]
    alike = across[both.numbers[across[:, 0]] == both.numbers[across[:, 1]]]
    return len(np.unique(alike[:, 0])) == len(np.unique(alike[:, 1])) == len(first.numbers)


def _with_multiplicities(expanded: list[_Expanded], sites: _Sites) -> list[_Expanded]:
    """Those with as many images a site as the block declares, where there are such; some programs declare others."""
    if len(expanded) < 2 or not sites.multiplicity.all():
        return expanded
    agreeing = [
        each for each in expanded if (np.bincount(each.site, minlength=len(sites.numbers)) == sites.multiplicity).all()
    ]
    return agreeing or expanded


def _apart(expanded: list[_Expanded]) -> list[_Expanded]:
    """Those without atoms nearer than `_NO_CRYSTAL`, where there are such."""
    if len(expanded) < 2:
        return expanded
    return [
        each for each in expanded if smallest_distance(each.cell.lattice, each.cell.frac_coords) > _NO_CRYSTAL
    ] or expanded
