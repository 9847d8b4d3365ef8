"""The hull that structures of one chemical system were judged by, as a picture and in words."""

from __future__ import annotations

from collections.abc import Sequence

from unigen.energies.hull.phases import StablePhases
from unigen.eval.crystals.stability import THRESHOLDS
from unigen.report.figures.binary_hull import binary_hull
from unigen.report.figures.hull_sample import HullSample
from unigen.report.figures.ternary_hull import ternary_hull
from unigen.report.page import Figure

_MOST_NAMED = 20
"""Compositions of samples that the words go through: those that a listener has patience for."""


def hull_figure(phases: StablePhases | None, samples: Sequence[HullSample]) -> Figure | None:
    """The picture; None where the samples are of many systems, or no sample has an energy.

    Args:
        phases: of two or three elements; None where there is no such hull.
        samples: in their system, the lowest above the hull first.
    """
    if phases is None or not samples:
        return None
    binary = len(phases.elements) == 2
    what = "formation energy (eV/atom) and convex hull" if binary else "convex hull, seen from below"
    drawn = (binary_hull if binary else ternary_hull)(phases, samples)
    return Figure(f"{phases.name}: {what}", drawn, _words(phases, samples), wide=True)


def _words(phases: StablePhases, samples: Sequence[HullSample]) -> str:
    stable = ", ".join(f"{phase.formula} {phase.formation_energy:.3f}" for phase in phases.phases)
    lowest: dict[str, float] = {}
    for sample in samples:  # the lowest comes first
        lowest.setdefault(sample.formula, sample.above_hull)
    named = [f"{formula} {above:.3f}" for formula, above in list(lowest.items())[:_MOST_NAMED]]
    more = [f"and {len(lowest) - _MOST_NAMED} more"] if len(lowest) > _MOST_NAMED else []
    counts = [f"{sum(each.above_hull <= most for each in samples)} at most {most:g}" for most in THRESHOLDS]
    return (
        f"Convex hull of {phases.name}. Stable phases and their formation energies in eV/atom: {stable}. "
        f"{len(samples)} samples, {', '.join(counts)} eV/atom above the hull; the lowest of each composition: "
        f"{', '.join([*named, *more])}."
    )
