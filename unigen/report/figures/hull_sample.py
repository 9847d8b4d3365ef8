"""The structures that stand beside a hull: what a picture of the hull shows of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER
from unigen.energies.hull.phases import StablePhases
from unigen.eval.crystals.scores import CrystalResult
from unigen.eval.report import Report


@dataclass(frozen=True)
class HullSample:
    """One sample.

    Attributes:
        formula: reduced.
        shares: of the atoms, element by element of the system.
        formation_energy: eV/atom, as judged.
        above_hull: eV/atom; negative below the hull.
    """

    formula: str
    shares: tuple[float, ...]
    formation_energy: float
    above_hull: float


def placed_on_hull(
    phases: StablePhases | None, judged: Iterable[tuple[Crystal, float | None, float | None]]
) -> list[HullSample]:
    """All with energies, the lowest above the hull first.

    Args:
        phases: of the system that they are of; None where no hull is drawn, and none of them stands anywhere.
        judged: crystals with formation energy and energy above the hull, eV/atom.
    """
    if phases is None:
        return []
    numbers = [ATOMIC_NUMBER[symbol] for symbol in phases.elements]
    samples = [
        HullSample(
            formula=crystal.reduced_formula,
            shares=tuple(crystal.counts.get(number, 0) / len(crystal) for number in numbers),
            formation_energy=formation_energy,
            above_hull=above_hull,
        )
        for crystal, formation_energy, above_hull in judged
        if formation_energy is not None and above_hull is not None
    ]
    return sorted(samples, key=lambda sample: sample.above_hull)


def hull_samples(report: Report) -> list[HullSample]:
    """Those of an evaluation, in the system that it has a hull of."""
    rows = zip(report.rows, report.shown.structures, strict=True)
    return placed_on_hull(
        report.shown.phases,
        (
            (structure, row.formation_energy, row.above_hull)
            for row, structure in rows
            if isinstance(row, CrystalResult) and isinstance(structure, Crystal)
        ),
    )
