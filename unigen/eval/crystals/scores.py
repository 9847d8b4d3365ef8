"""The crystals of one evaluation with what is known about each, whatever the protocol."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from functools import cached_property

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.charge_balance import CompositionVerdict
from unigen.eval.crystals.protocol import CrystalRules
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.crystals.space_groups import SpaceGroups
from unigen.eval.crystals.validity import Description
from unigen.eval.report import ResultRow
from unigen.eval.samples import dropped
from unigen.eval.statistics import Metric
from unigen.shapes import Bool

VALIDITIES = (
    "structure_valid",
    "structure_valid_cdvae",
    "no_close_contact",
    "composition_valid",
    "composition_valid_cdvae",
)


@dataclass(frozen=True, kw_only=True)
class CrystalResult(ResultRow):
    """The row of a crystal in the per-structure table; None where it does not apply or could not be computed.

    Attributes:
        index: which of the samples of its reference it is, from 0.
        reference: id of its reference (csp).
        formula: reduced formula.
        space_group: symbol at the protocol's tolerance.
        space_group_number: international number.
        n_atoms: atoms in the cell as given.
        volume: cubic Angstrom.
        density: g/cm^3.
        smallest_distance: Angstrom, own periodic images included.
        structure_valid: see `unigen.eval.crystals.validity.Description`.
        structure_valid_cdvae: the published variant.
        no_close_contact: no two atoms closer than known crystals keep them.
        composition_valid: SMACT with its present oxidation states.
        composition_valid_cdvae: SMACT as CDVAE used it.
        matched: matches its reference (csp).
        rms: root mean square displacement to its reference, in (V / atoms)^(1/3) (csp).
        unique: first of its equivalence class (denovo).
        novel: matches no reference crystal (denovo, with a reference).
        relaxation: "converged", "limit", "gated" or "failed", see `unigen.energies.relaxation.Relaxation`.
        energy_per_atom: relaxed, eV/atom, of the potential.
        displacement: root mean square path of an atom in relaxation, Angstrom.
        formation_energy: relaxed, eV/atom, against the elements of the hull.
        above_hull: relaxed, eV/atom above the hull; negative below it.
        decomposition: the phases at the hull.
        stated_space_group: number that the generator wrote.
        stated_symmetry: "confirmed", "higher", "other" or "failed", see `unigen.eval.crystals.requests`.
        bounded: something about it ended at a bound of work.
        reason: why there is no structure, or why it is not scored.
    """

    index: int | None = None
    reference: str | None = None
    formula: str | None = None
    space_group: str | None = None
    space_group_number: int | None = None
    n_atoms: int | None = None
    volume: float | None = None
    density: float | None = None
    smallest_distance: float | None = None
    structure_valid: bool = False
    structure_valid_cdvae: bool = False
    no_close_contact: bool = False
    composition_valid: bool = False
    composition_valid_cdvae: bool = False
    matched: bool | None = None
    rms: float | None = None
    unique: bool | None = None
    novel: bool | None = None
    relaxation: str | None = None
    energy_per_atom: float | None = None
    displacement: float | None = None
    formation_energy: float | None = None
    above_hull: float | None = None
    decomposition: str = ""
    stated_space_group: int | None = None
    stated_symmetry: str | None = None
    bounded: bool = False
    reason: str = ""


@dataclass(frozen=True, eq=False)
class ScoredCrystals:
    """Samples described.

    Attributes:
        entries: all samples, failures included.
        descriptions: one a sample, None for a failure.
        verdicts: SMACT's verdict by reduced formula.
        rules: the protocol.
        seed: seed of the bootstrap.
        space_groups: of the samples, as far as they were looked for.
    """

    entries: tuple[CrystalEntry, ...]
    descriptions: tuple[Description | None, ...]
    verdicts: dict[str, CompositionVerdict]
    rules: CrystalRules
    seed: int
    space_groups: SpaceGroups = field(default_factory=SpaceGroups)

    @property
    def crystals(self) -> list[Crystal | None]:
        """One a sample, None for a failure."""
        return [entry.crystal for entry in self.entries]

    def holds(self, validity: str) -> Bool[np.ndarray, "samples"]:
        """One of `VALIDITIES` for each sample; a failure is never valid."""
        return np.array([getattr(row, validity) for row in self.rows], dtype=bool)

    def valid_cdvae(self) -> Bool[np.ndarray, "samples"]:
        """Valid as CDVAE and its successors filter: structure and composition, both as published."""
        return self.holds("structure_valid_cdvae") & self.holds("composition_valid_cdvae")

    def intervals(self, columns: dict[str, np.ndarray]) -> dict[str, Metric]:
        """Means and intervals under the protocol's bootstrap."""
        return self.rules.intervals(columns, self.seed)

    def validity_columns(self) -> dict[str, np.ndarray]:
        """Every validity, and both together, over all generated."""
        columns = {name: self.holds(name) for name in VALIDITIES}
        columns["valid"] = columns["structure_valid"] & columns["composition_valid"]
        columns["valid_cdvae"] = columns["structure_valid_cdvae"] & columns["composition_valid_cdvae"]
        return columns

    def counts(self) -> dict[str, int]:
        """Generated, failed, and compositions whose check was bounded, or that SMACT cannot judge."""
        return {
            "generated": len(self.entries),
            "failed": sum(entry.crystal is None for entry in self.entries),
            "composition_bounded": sum(row.bounded for row in self.rows),
            "composition_not_judged": sum(bool(row.reason) and row.formula is not None for row in self.rows),
        }

    @cached_property
    def rows(self) -> tuple[CrystalResult, ...]:
        """The per-structure row of each sample, as far as it goes without a protocol."""
        rows = []
        for entry, description in zip(self.entries, self.descriptions, strict=True):
            if description is None:
                rows.append(CrystalResult(id=entry.id, index=entry.index, reason=entry.reason))
                continue
            verdict = self.verdicts[description.formula]
            rows.append(
                CrystalResult(
                    id=entry.id,
                    index=entry.index,
                    composition_valid=verdict.valid,
                    composition_valid_cdvae=verdict.valid_cdvae,
                    bounded=verdict.bounded,
                    reason=verdict.reason,
                    **asdict(description),
                )
            )
        return tuple(rows)

    def failures(self) -> list[dict[str, str]]:
        """Id, place and reason of every sample without a structure."""
        return [dropped(entry, entry.reason) for entry in self.entries if entry.crystal is None]
