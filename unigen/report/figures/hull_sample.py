"""The samples of a report that stand beside a hull: what a picture of the hull shows of each."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.crystals.crystal import Crystal
from unigen.elements import ATOMIC_NUMBER
from unigen.eval.crystals.scores import CrystalResult
from unigen.eval.report import Report

HULL_STYLE = """
.hull { fill: none; stroke: #9a5b13; stroke-width: 1.5; }
.phase { fill: #9a5b13; }
.sample { fill-opacity: .8; }
.name { fill: #20242a; paint-order: stroke; stroke: #fbfaf7; stroke-width: 3; stroke-linejoin: round; }
.leader { stroke: #20242a; stroke-width: .8; }
.zero { stroke: #8b929b; stroke-dasharray: 1 3; }
@media (prefers-color-scheme: dark) {
  .hull { stroke: #dba462; } .phase { fill: #dba462; } .name { fill: #e6e6e2; stroke: #15181c; }
  .leader { stroke: #e6e6e2; }
}
"""
"""Of pictures of hulls, in the colours of the page."""


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
    found = []
    for row, structure in zip(report.rows, report.shown.structures, strict=True):
        if not isinstance(row, CrystalResult) or not isinstance(structure, Crystal):
            continue
        if row.formation_energy is None or row.above_hull is None:
            continue
        shares = tuple(structure.counts.get(number, 0) / len(structure) for number in numbers)
        found.append(HullSample(structure.reduced_formula, shares, row.formation_energy, row.above_hull))
    return sorted(found, key=lambda sample: sample.above_hull)
