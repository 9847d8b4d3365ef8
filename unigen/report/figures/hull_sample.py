"""The samples of a report that stand beside a hull: what a picture of the hull shows of each."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER
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


def hull_samples(report: Report) -> list[HullSample]:
    """All samples with an energy in the system that the report has a hull of, the lowest above it first."""
    if report.shown.phases is None:
        return []
    numbers = [ATOMIC_NUMBER[symbol] for symbol in report.shown.phases.elements]
    samples = []
    for row, structure in zip(report.rows, report.shown.structures, strict=True):
        if not isinstance(row, CrystalResult) or not isinstance(structure, Crystal):
            continue
        if row.formation_energy is None or row.above_hull is None:
            continue
        shares = tuple(structure.counts.get(number, 0) / len(structure) for number in numbers)
        samples.append(HullSample(structure.reduced_formula, shares, row.formation_energy, row.above_hull))
    return sorted(samples, key=lambda sample: sample.above_hull)
