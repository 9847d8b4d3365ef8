"""Are the samples what was asked for, and do they have the symmetry that their generator wrote?

Only what is said can be checked: nothing here without requests or stated space groups. Failures stay in the
denominator.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from unigen.crystals.cell import Cell, quiet_spglib, right_handed
from unigen.crystals.crystal import Crystal
from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.eval.asked import AskedAndFound
from unigen.eval.crystals.samples import Entry
from unigen.eval.crystals.scores import Scored
from unigen.eval.molecules.merge_conditional import mean_distances
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.request import CrystalRequest
from unigen.symmetry.space_groups import space_group

Verdict = Literal["confirmed", "higher", "other", "failed"]


class Found(NamedTuple):
    """The space group found in a sample (None: no structure, or not looked for) and what became of the stated one."""

    number: int | None = None
    verdict: Verdict | None = None


DENSITY = "density"
SYMPREC = 0.01
"""Tolerance in Angstrom at which a stated space group must be found."""

_ROWS: dict[str, Verdict] = {
    "space_group_stated_and_found": "confirmed",
    "space_group_higher_than_stated": "higher",
    "space_group_lower_or_other": "other",
    "space_group_stated_but_no_structure": "failed",
}
_ALL = range(1, 231)
_NOTE = f"of: samples that were asked for it or state it; space groups at {SYMPREC:g} Angstrom"


def find_stated(scored: Scored, workers: Workers) -> list[Found]:
    """The space group of each sample that states one or was asked for one."""
    found = [Found() if _stated(entry) is None else Found(verdict="failed") for entry in scored.entries]
    asked = [n for n, entry in enumerate(scored.entries) if entry.crystal is not None and _symmetric(entry)]
    tasks = [(scored.entries[n].crystal, _stated(scored.entries[n])) for n in asked]
    judged = workers.map(partial(_judge, symprec=SYMPREC), tasks, "Stated symmetry")
    for position, verdict in zip(asked, judged, strict=True):
        found[position] = verdict
    return found


def as_requested(scored: Scored, found: list[Found]) -> dict[str, Section]:
    """The section "as requested", with the rows there is something to say about; empty where there is none.

    Args:
        scored: the samples.
        found: what `find_stated` found.
    """
    columns: dict[str, list[bool]] = {"formula": [], "number_of_atoms": [], "symmetry": []}
    for entry, (number, _) in zip(scored.entries, found, strict=True):
        request = entry.statement.request if entry.statement else None
        if request is None:
            continue
        if request.formula is not None:
            columns["formula"].append(_has_formula(request, entry.crystal))
        if _size(request) is not None:
            columns["number_of_atoms"].append(_has_size(request, entry.crystal))
        if len(request.space_groups) < len(_ALL):
            columns["symmetry"].append(number in request.space_groups)
    known = [verdict for _, verdict in found if verdict is not None]
    columns |= {name: [verdict == wanted for verdict in known] for name, wanted in _ROWS.items()}
    rows = {name: _row(scored, held) for name, held in columns.items() if held}
    return {"as_requested": Section("As requested", rows, _NOTE)} if rows else {}


def densities(scored: Scored) -> tuple[AskedAndFound, ...]:
    """Densities beside those asked for; nothing where nobody asked."""
    values = [None if crystal is None else crystal.density for crystal in scored.crystals]
    return asked_and_found(scored, DENSITY, values, "g/cm^3")


def asked_and_found(scored: Scored, name: str, values: Sequence[float | None], unit: str) -> tuple[AskedAndFound, ...]:
    """A property of crystals beside what was asked for; nothing where nobody asked.

    Args:
        scored: the samples.
        name: of the property, as in requests.
        values: of the first samples, None where there is none.
        unit: of the values.
    """
    pairs = [
        (entry.statement.request.properties[name], np.nan if value is None else value)
        for entry, value in zip(scored.entries, values, strict=False)
        if entry.statement and entry.statement.request and name in entry.statement.request.properties
    ]
    return (AskedAndFound(name, unit, *np.array(pairs, dtype=np.float64).T),) if pairs else ()


def asked_sections(scored: Scored, properties: Iterable[AskedAndFound]) -> dict[str, Section]:
    """How far each property is from what was asked for, beside what a generator that does not listen would have.

    Returns:
        A section ``<name>_as_requested`` a property.
    """
    return {f"{each.name}_as_requested": _asked_section(scored, each) for each in properties}


def _asked_section(scored: Scored, each: AskedAndFound) -> Section:
    row: dict[str, Metric | int] = {"samples": int(each.known.sum()), "of": len(each.asked)}
    if each.known.any():
        errors = {"mae": each.errors, "mae_random": mean_distances(each.found[each.known], each.asked)}
        row |= scored.intervals(errors)
    note = f"mean absolute error in {each.unit}; random: against the requests of all samples"
    title = f"{each.name.replace('_', ' ')} asked for and found".capitalize()
    return Section(title, {each.name: row}, note)


def _row(scored: Scored, held: Iterable[bool]) -> dict[str, Metric | int]:
    column = np.array(held, dtype=bool)
    return {"samples": int(column.sum()), "of": len(column)} | scored.intervals({"share": column})


def _stated(entry: Entry) -> int | None:
    return entry.statement.space_group if entry.statement else None


def _has_formula(request: CrystalRequest, crystal: Crystal | None) -> bool:
    """The requested reduced formula exactly and, where the request fixes it, the number of atoms."""
    if crystal is None:
        return False
    wanted = format_formula(reduce_counts(parse_formula(str(request.formula)))[0])
    return crystal.reduced_formula == wanted and (_size(request) is None or _has_size(request, crystal))


def _size(request: CrystalRequest) -> int | None:
    """Atoms in the cell, where the request fixes them."""
    return sum(request.counts.values()) if request.counts else request.n_atoms


def _has_size(request: CrystalRequest, crystal: Crystal | None) -> bool:
    return crystal is not None and len(crystal) == _size(request)


def _symmetric(entry: Entry) -> bool:
    request = entry.statement.request if entry.statement else None
    return _stated(entry) is not None or (request is not None and len(request.space_groups) < len(_ALL))


def _judge(task: tuple[Crystal, int | None], symprec: float) -> Found:
    crystal, stated = task
    number = crystal.space_group(symprec).number
    if stated is None or number == stated:
        return Found(number, None if stated is None else "confirmed")
    return Found(number, "higher" if _is_higher(crystal, number, stated, symprec) else "other")


def _is_higher(crystal: Crystal, found: int, stated: int, symprec: float) -> bool:
    """Whether the found type has the stated one among its subgroups, and there are more operations in the cell.

    The cell is taken as primitive for the stated group, as UniGen writes it; so a finer lattice counts as higher, too.
    """
    import spglib

    cell: Any = tuple(right_handed(Cell(crystal.lattice, crystal.frac_coords, crystal.numbers)))
    with quiet_spglib():
        operations = spglib.get_symmetry(cell, symprec=symprec)
    group = space_group(stated)
    written = len(group.operations) * np.linalg.det(group.to_primitive)
    more = operations is not None and len(operations["rotations"]) > round(written)
    return more and _is_subgroup(stated, found)


@cache
def _is_subgroup(group: int, of: int) -> bool:
    """Whether groups of the second type have subgroups of the first, by chains of maximal subgroups."""
    from pymatgen.symmetry.groups import SpaceGroup

    return SpaceGroup.from_int_number(group).is_subgroup(SpaceGroup.from_int_number(of))
