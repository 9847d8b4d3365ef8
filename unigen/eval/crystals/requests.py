"""Are the samples what was asked for, and do they have the symmetry that their generator wrote?

Only what is said can be checked: nothing here without requests or stated space groups. Failures stay in the
denominator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np

from unigen.crystals.cell import Cell, quiet_spglib, right_handed
from unigen.crystals.crystal import Crystal
from unigen.elements import format_formula, parse_formula, reduce_counts
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.crystals.scores import ScoredCrystals
from unigen.eval.requested_property import RequestedProperty
from unigen.eval.statistics import Metric, mean_absolute_differences
from unigen.eval.tables import Section
from unigen.parallel import Workers
from unigen.request import CrystalRequest
from unigen.shapes import Float
from unigen.symmetry.space_groups import space_group

SymmetryVerdict = Literal["confirmed", "higher", "other", "failed"]


class SpaceGroupCheck(NamedTuple):
    """The space group found in a sample (None: no structure, or not looked for) and what became of the stated one."""

    number: int | None = None
    verdict: SymmetryVerdict | None = None


@runtime_checkable
class Values(Protocol):
    """What a predictor says of some crystals."""

    @property
    def values(self) -> Float[np.ndarray, "crystals properties"]:
        """NaN where nothing can be said."""


@runtime_checkable
class CrystalPredictor(Protocol):
    """What tells properties of crystals; `unigen.sample.predict.open_predictor` opens one."""

    name: str
    version: str

    @property
    def properties(self) -> tuple[str, ...]:
        """Names, as in requests."""

    @property
    def units(self) -> tuple[str, ...]:
        """Of the properties."""

    def predict(self, structures: Sequence[Crystal]) -> Values:
        """Every property of every crystal, NaN where nothing can be said."""


SYMPREC = 0.01
"""Tolerance in Angstrom at which a stated space group must be found: the tighter of `symmetry.SYMPRECS`."""

_ROWS: dict[str, SymmetryVerdict] = {
    "space_group_stated_and_found": "confirmed",
    "space_group_higher_than_stated": "higher",
    "space_group_lower_or_other": "other",
    "space_group_stated_but_no_structure": "failed",
}
_SPACE_GROUPS = 230
_NOTE = f"of: samples that were asked for it or state it; space groups at {SYMPREC:g} Angstrom"


def check_space_groups(scored: ScoredCrystals, workers: Workers) -> list[SpaceGroupCheck]:
    """The space group of each sample that states one or was asked for one."""
    stated = [entry.statement.space_group if entry.statement else None for entry in scored.entries]
    checks = [SpaceGroupCheck(verdict=None if group is None else "failed") for group in stated]
    looked_at = {
        position: entry.crystal
        for position, entry in enumerate(scored.entries)
        if entry.crystal is not None and (stated[position] is not None or _fixes_symmetry(_request(entry)))
    }
    found = scored.space_groups.find([*looked_at.values()], (SYMPREC,), workers, "Stated symmetry")[:, 0].tolist()
    others: dict[int, tuple[Crystal, int, int]] = {}
    for (position, crystal), number in zip(looked_at.items(), found, strict=True):
        group = stated[position]
        checks[position] = SpaceGroupCheck(number, None if group is None else "confirmed")
        if group is not None and number != group:
            others[position] = crystal, number, group
    higher = workers.map(_is_higher, [*others.values()], "Stated symmetry")
    for (position, (_, number, _)), is_higher in zip(others.items(), higher, strict=True):
        checks[position] = SpaceGroupCheck(number, "higher" if is_higher else "other")
    return checks


def _is_higher(task: tuple[Crystal, int, int]) -> bool:
    """Whether the found type has the stated one among its subgroups, and there are more operations in the cell.

    The cell is taken as primitive for the stated group, as UniGen writes it; so a finer lattice counts as higher, too.
    """
    import spglib

    crystal, number, stated = task
    cell: Any = tuple(right_handed(Cell(crystal.lattice, crystal.frac_coords, crystal.numbers)))
    with quiet_spglib():
        operations = spglib.get_symmetry(cell, symprec=SYMPREC)
    group = space_group(stated)
    # operations are those of the conventional cell; the determinant is a primitive cell's share of its volume
    written = len(group.operations) * np.linalg.det(group.to_primitive)
    more = operations is not None and len(operations["rotations"]) > round(written)
    return more and _is_subgroup(stated, number)


@cache
def _is_subgroup(group: int, of: int) -> bool:
    """Whether groups of the second type have subgroups of the first, by chains of maximal subgroups."""
    from pymatgen.symmetry.groups import SpaceGroup

    return SpaceGroup.from_int_number(group).is_subgroup(SpaceGroup.from_int_number(of))


def as_requested(scored: ScoredCrystals, checks: Sequence[SpaceGroupCheck]) -> dict[str, Section]:
    """The section "as requested", with the rows there is something to say about; empty where there is none.

    Args:
        scored: the samples.
        checks: of `check_space_groups`, one a sample.
    """
    columns: dict[str, list[bool]] = {"formula": [], "number_of_atoms": [], "symmetry": []}
    for entry, (number, _) in zip(scored.entries, checks, strict=True):
        request, crystal = _request(entry), entry.crystal
        if request is None:
            continue
        n_atoms = sum(request.counts.values()) if request.counts else request.n_atoms  # where the request fixes them
        # requests are of primitive cells: a supercell has the atoms, but is another crystal than was asked for
        right_size = n_atoms is None or (crystal is not None and crystal.primitive_atoms() == len(crystal) == n_atoms)
        if request.formula is not None:
            wanted = format_formula(reduce_counts(parse_formula(request.formula))[0])
            columns["formula"].append(crystal is not None and crystal.reduced_formula == wanted and right_size)
        if n_atoms is not None:
            columns["number_of_atoms"].append(right_size)
        if _fixes_symmetry(request):
            columns["symmetry"].append(number in request.space_groups)
    stated = [verdict for _, verdict in checks if verdict is not None]
    columns |= {name: [verdict == wanted for verdict in stated] for name, wanted in _ROWS.items()}
    rows: dict[str, dict[str, Metric | int]] = {
        name: {"samples": sum(held), "of": len(held)} | scored.intervals({"share": np.array(held, dtype=bool)})
        for name, held in columns.items()
        if held
    }
    return {"as_requested": Section("As requested", rows, _NOTE)} if rows else {}


def _request(entry: CrystalEntry) -> CrystalRequest | None:
    return entry.statement.request if entry.statement else None


def _fixes_symmetry(request: CrystalRequest | None) -> bool:
    return request is not None and len(request.space_groups) < _SPACE_GROUPS


def requested_property(
    scored: ScoredCrystals, name: str, values: Sequence[float | None], unit: str
) -> tuple[RequestedProperty, ...]:
    """A property of crystals beside what was asked for; nothing where nobody asked.

    Args:
        scored: the samples.
        name: of the property, as in requests.
        values: of the first samples, None where there is none.
        unit: of the values.
    """
    pairs = [
        (request.properties[name], np.nan if value is None else value)
        for entry, value in zip(scored.entries, values, strict=False)
        if (request := _request(entry)) is not None and name in request.properties
    ]
    return (RequestedProperty(name, unit, *np.array(pairs, dtype=np.float64).T),) if pairs else ()


def requested_density(scored: ScoredCrystals) -> tuple[RequestedProperty, ...]:
    """Densities beside those asked for; nothing where nobody asked."""
    values = [None if crystal is None else crystal.density for crystal in scored.crystals]
    return requested_property(scored, "density", values, "g/cm^3")


def requested_predictions(
    scored: ScoredCrystals, open_predictor: Callable[[], CrystalPredictor] | None
) -> tuple[tuple[RequestedProperty, ...], CrystalPredictor | None]:
    """Predicted properties beside those asked for, and who predicted them; nothing where nobody asked for one.

    Args:
        scored: the samples.
        open_predictor: gives what predicts, if it is needed; None: nothing is predicted.
    """
    asked = {name for entry in scored.entries if (request := _request(entry)) for name in request.properties}
    if open_predictor is None or not asked - {"density"}:
        return (), None
    predictor = open_predictor()
    told = [place for place, name in enumerate(predictor.properties) if name in asked]
    if not told:
        return (), None
    made = [crystal for crystal in scored.crystals if crystal is not None]
    values = iter(predictor.predict(made).values.tolist())
    rows = [None if crystal is None else next(values) for crystal in scored.crystals]
    found: tuple[RequestedProperty, ...] = ()
    for place in told:
        column = [None if row is None else row[place] for row in rows]
        found += requested_property(scored, predictor.properties[place], column, predictor.units[place])
    return found, predictor


def requested_property_sections(
    scored: ScoredCrystals, properties: Iterable[RequestedProperty], by: str = ""
) -> dict[str, Section]:
    """How far each property is from what was asked for, beside what a generator that does not listen would have.

    Args:
        scored: the samples.
        properties: of them.
        by: who predicted them; empty for what was computed.

    Returns:
        A section ``<name>_as_requested`` a property.
    """
    sections = {}
    for each in properties:
        row: dict[str, Metric | int] = {"samples": int(each.has_value.sum()), "of": len(each.requested)}
        if each.has_value.any():
            shuffled = mean_absolute_differences(each.actual[each.has_value], each.requested)
            row |= scored.intervals({"mae": each.errors, "mae_random": shuffled})
        note = f"mean absolute error in {each.unit}; random: against the requests of all samples"
        note += f"; by {by}, whose own error its card tells" if by else ""
        found = "predicted" if by else "found"
        title = f"{each.name.replace('_', ' ')} asked for and {found}".capitalize()
        sections[f"{each.name}_as_requested"] = Section(title, {each.name: row}, note)
    return sections
