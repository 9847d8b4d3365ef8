"""The atom sites of a CIF block: element, place, full occupancy; and the formula it declares."""

from __future__ import annotations

import re
from collections import Counter
from typing import NamedTuple

import numpy as np

from unigen.crystals.cif_block import Block, number_of
from unigen.elements import ATOMIC_NUMBER, SMALLEST_DISTANCE, SYMBOLS, atomic_number_of, is_full
from unigen.errors import UserError
from unigen.shapes import Float, Int

LARGEST_MERGE = 0.4
"""Angstrom; images of a site are one atom when they are closer than `SMALLEST_DISTANCE`, or than its digits can tell,
but never farther apart than this (gemmi's own bound): half of the shortest bond there is."""


class Formula(NamedTuple):
    """``_chemical_formula_sum`` by atomic number, and the formula units in a cell (0: not told)."""

    text: str
    amounts: dict[int, float]
    units: float


_AMOUNT = re.compile(r"\s*([A-Z][a-z]?)\s*(\d+\.?\d*|\.\d+)?(?=[\sA-Z]|$)")


def formula_of(block: Block) -> Formula | None:
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
    positive = {number: float(amount) for number, amount in amounts.items() if 0 < amount < 1e9}
    units = number_of(block.first("_cell_formula_units_z"))
    return Formula(text, positive, units if units > 0 else 0.0) if positive else None


class Sites(NamedTuple):
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


def sites_of(block: Block, formula: Formula | None, where: str) -> Sites:
    """The atom sites; raises UserError naming the first without a place, an element, or full occupancy."""
    rows = len(block.values["_atom_site_fract_x"])
    texts = [block.column(f"_atom_site_fract_{axis}", rows) for axis in "xyz"]
    types = block.column("_atom_site_type_symbol", rows)
    labels = block.column("_atom_site_label", rows)
    names = [label or kind or str(index) for index, (label, kind) in enumerate(zip(labels, types, strict=True))]
    coords = np.array([[number_of(text) for text in axis] for axis in texts]).T.reshape(rows, 3)
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
        if hydrogens and number_of(hydrogens) != 0:
            raise UserError(
                f"{site}: hydrogen without a place", where=where, got=f"{name} with {hydrogens} attached hydrogens"
            )
        amount = number_of(occupancy or "1")
        if not is_full(amount):
            what = "occupancy 0" if amount == 0 else "partial occupancy"
            raise UserError(
                f"{site}: {what}",
                where=where,
                got=f"{name} {occupancy}",
                wanted="one element a site",
                next_step="order it first, as with pymatgen's OrderDisorderedStructureTransformation",
            )
    _refuse_alternatives(block, rows, where)
    numbers = [
        _element(index, kind, label, formula, where)
        for index, (kind, label) in enumerate(zip(types, labels, strict=True))
    ]
    _refuse_implied_hydrogen(numbers, names, formula, where)
    digits = np.array([[len(text.partition("(")[0].partition(".")[2]) for text in axis] for axis in texts]).T
    # 0.33 may be anything from 0.325 to 0.335; what has fewer digits (0.5, 0) is meant as it is written
    rounding = 0.5 * 10.0 ** -np.clip(digits.reshape(rows, 3), 2, 9)
    lengths = np.array([number_of(block.first(f"_cell_length_{axis}")) for axis in "abc"])
    merge = np.clip(2.0 * rounding @ lengths, SMALLEST_DISTANCE, LARGEST_MERGE)
    declared = block.column("_atom_site_symmetry_multiplicity", rows)
    multiplicity = np.array([int(text) if text.isdigit() else 0 for text in (each[:6] for each in declared)])
    return Sites(names, np.array(numbers), coords, merge, multiplicity)


def _refuse_alternatives(block: Block, rows: int, where: str) -> None:
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


def _element(index: int, kind: str, label: str, formula: Formula | None, where: str) -> int:
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


def _element_of_label(label: str, formula: Formula | None) -> int | None:
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


def _first_declared(letters: str, formula: Formula) -> int | None:
    """The element of the formula with which the letters begin, where there is exactly one."""
    starts = {letters[:2].capitalize(), letters[0].upper()}
    numbers = {number for start in starts if (number := atomic_number_of(start)) is not None}
    declared = numbers & formula.amounts.keys()
    return declared.pop() if len(declared) == 1 else None


def _refuse_implied_hydrogen(numbers: list[int], names: list[str], formula: Formula | None, where: str) -> None:
    """A label that speaks of OH or water, where the file has no hydrogen at all: atoms would be lost."""
    if 1 in numbers or (formula is not None and 1 not in formula.amounts):
        return
    for index, (number, name) in enumerate(zip(numbers, names, strict=True)):
        if number == 8 and _WITH_HYDROGEN.match(name):
            raise UserError(
                f"site {index}: hydrogen without a place", where=where, got=f"{name}, and no site of hydrogen"
            )
