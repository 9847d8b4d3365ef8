"""Energies by a potential beside those that the reference states of the same crystals: how far to trust the first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from unigen.energies.hull.hull import HullVerdict
from unigen.eval.crystals.samples import Entry
from unigen.eval.crystals.scores import Scored
from unigen.eval.statistics import Metric
from unigen.eval.tables import Section

CLOSE = 0.05
"""eV/atom."""

STATED = {"above_hull": "e_above_hull", "formation_energy": "formation_energy_per_atom"}
"""Our columns and the Materials Project's names for them, as datasets carry them."""


def energy_agreement(
    scored: Scored, verdicts: Sequence[HullVerdict], references: Sequence[Entry]
) -> dict[str, Section]:
    """A section where samples bear the ids of reference crystals with known energies; none otherwise.

    Args:
        scored: the samples.
        verdicts: of the first of them.
        references: with the energies they state as properties.
    """
    stated = {entry.id: entry.crystal.properties for entry in references if entry.crystal is not None}
    rows: dict[str, dict[str, Metric | int]] = {}
    for ours, theirs in STATED.items():
        pairs = [
            (value, known)
            for entry, verdict in zip(scored.entries, verdicts, strict=False)
            if (value := getattr(verdict, ours)) is not None
            and (known := stated.get(entry.id, {}).get(theirs)) is not None
        ]
        if pairs:
            error = np.array([value - known for value, known in pairs])
            columns = {f"within_{CLOSE}": np.abs(error) <= CLOSE, "mean_absolute": np.abs(error), "mean_signed": error}
            rows[ours] = {"n": len(pairs)} | scored.intervals(columns)
    note = "error of the relaxed energy against what the reference says of the crystal of the same id, eV/atom"
    return {"energy_agreement": Section("energies beside the reference's own", rows, note)} if rows else {}
