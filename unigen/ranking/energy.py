"""Candidates by energy: single points over volumes, the generator's own probability, and a relaxation of the best.

The energy alone is no good judge: potentials, as the density functional they learn from, often prefer another polymorph
than the one that is known, by some hundredths of an eV/atom. What the generator holds likely, from chemistry alone,
makes up for that; the weight between the two was fitted (`LOG_PROBABILITY_WEIGHT`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.crystals.template import SYMPREC
from unigen.energies.enthalpy import Phase
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.energies.volume_scan import ScannedCrystals, ScanSettings, VolumeScan
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.distinct import distinct_structures
from unigen.ranking.ranker import Rating, log_probability, unrated
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.shapes import Float

if TYPE_CHECKING:
    from unigen.energies.hull.hull import Hull

LOG_PROBABILITY_WEIGHT = 0.02
"""eV/atom that a nat of the generator's log probability is worth. Of 250 MP-20 validation compositions 78.8 % are right
with it, 75.2 % by the first candidate, 69.6 % by the energy alone; between 0.01 and 0.05 it hardly matters, and a
logistic model with the change of volume and the place in the order of drawing besides is no better
(``eval/results/ablation/ranking-mp-20-val.json``)."""

_DIGITS = 6
"""Of energies in eV/atom, as they are written."""


class EnergyRanker:
    """Ranks crystals by their energy at the best volume, and by what the generator thinks of them.

    Args:
        potential: whose energies.
        relax: so many distinct ones of each request, the best by the scan, are relaxed and ranked again, before all
            others.
        settings: of these relaxations; what is asked for in a symmetry keeps its own whatever they say.
        scan: which volumes are tried.
        pressures: GPa; at each of them what was relaxed is relaxed again, and told its enthalpy.
        hull: for energies above it; None tells none.
        weight: eV/atom that a nat of log probability is worth; 0 ranks by energy alone.

    """

    name = "energy"
    quantity = "energy_per_atom"
    unit = "eV/atom"
    lower_is_better = True

    def __init__(
        self,
        potential: Potential,
        *,
        relax: int = 0,
        settings: RelaxSettings | None = None,
        scan: ScanSettings | None = None,
        pressures: Sequence[float] = (),
        hull: Hull | None = None,
        weight: float = LOG_PROBABILITY_WEIGHT,
    ) -> None:
        self.potential, self.relax, self.hull, self.weight = potential, relax, hull, weight
        self.trained_on = potential.trained_on
        self.settings, self.scan, self.pressures = settings or RelaxSettings(), scan or ScanSettings(), pressures

    def facts(self) -> dict[str, object]:
        """See Ranker."""
        return {"potential": self.potential.identity, "log_probability_weight": self.weight}

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        """See Ranker.

        Raises:
            UserError: a request without a formula where there is no hull.
        """
        for request in requests:
            if isinstance(request, CrystalRequest) and request.formula is None and self.hull is None:
                raise UserError(
                    "ranking by energy: a request names no formula, and energies of two compositions do not compare",
                    got=str(request.to_dict() or "nothing asked for"),
                    next_step="give a formula, or a hull (unigen hull build) to measure them from",
                )

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        """See Ranker: the value is the energy per atom at the best volume, or as relaxed.

        Raises:
            UserError: the folder holds energies by another potential or of other settings.
        """
        crystals = [sample.structure for group in groups for sample in group if sample.structure is not None]
        scanned = ScannedCrystals(folder and folder / "scanned", self.potential, self.scan)
        scans = iter(scanned.scan(crystals, workers))
        rated = [[self._by_scan(sample, scans) for sample in group] for group in groups]
        if self.relax:
            rated = self._relax_best(groups, rated, workers, folder)
        return [self._compared(ratings) for ratings in rated]

    def _by_scan(self, sample: Sample, scans: Iterator[VolumeScan]) -> Rating:
        if sample.structure is None:
            return unrated(sample, sample.reason)
        scan = next(scans)
        if scan.crystal is None or scan.energy_per_atom is None:
            return unrated(sample, scan.reason)
        # 4 of 100 candidates lie in a hole of SevenNet's, some of them 1e14 eV/atom deep: atoms closer than it ever saw
        if contact := closest_contact(scan.crystal):
            return unrated(sample, f"no energy to be believed: {contact.reason}")
        return Rating(
            merit=self._merit(sample, scan.crystal, scan.energy_per_atom),
            value=round(scan.energy_per_atom, _DIGITS),
            structure=scan.crystal,
            facts={
                "edges_scaled_by": round(scan.scale, 5),
                "relaxed": "no",
                "energy_per_atom_as_drawn": round(scan.initial_energy_per_atom or 0.0, _DIGITS),
            },
            reason=scan.reason,
        )

    def _merit(self, sample: Sample, crystal: Crystal, energy_per_atom: float) -> float:
        """Larger is better; energies of other compositions compare by how far they are above the hull."""
        if sample.request.formula is None and self.hull is not None:
            above = self.hull.judge_crystal(crystal, energy_per_atom).above_hull
            return float("-inf") if above is None else self.weight * log_probability(sample) - above
        return self.weight * log_probability(sample) - energy_per_atom

    def _relax_best(
        self,
        groups: Sequence[Sequence[Sample]],
        rated: list[list[Rating]],
        workers: Workers,
        folder: Path | None,
    ) -> list[list[Rating]]:
        chosen = [(group, place) for group, ratings in enumerate(rated) for place in self._best_distinct(ratings)]
        results = self._relaxations(groups, rated, chosen, self.settings, workers, folder and folder / "relaxed")
        for (group, place), result in zip(chosen, results, strict=True):
            rated[group][place] = self._by_relaxation(groups[group][place], rated[group][place], result)
        relaxed_ones = [(group, place) for group, place in chosen if _is_relaxed(rated[group][place])]
        for pressure in self.pressures:
            path = folder and folder / f"relaxed-{pressure:g}-GPa"
            settings = replace(self.settings, pressure=pressure)
            results = self._relaxations(groups, rated, relaxed_ones, settings, workers, path)
            for (group, place), result in zip(relaxed_ones, results, strict=True):
                facts = dict(rated[group][place].facts) | facts_at(pressure, result)
                rated[group][place] = replace(rated[group][place], facts=facts)
        return [_relaxed_first(ratings) for ratings in rated]

    def _relaxations(
        self,
        groups: Sequence[Sequence[Sample]],
        rated: list[list[Rating]],
        places: list[tuple[int, int]],
        settings: RelaxSettings,
        workers: Workers,
        folder: Path | None,
    ) -> list[Relaxation]:
        """Of the structures of these ratings, by group and place; those asked for in a symmetry keep it."""
        found: dict[tuple[int, int], Relaxation] = {}
        for asked, name in ((False, ""), (True, "-in-symmetry")):
            own = [(group, place) for group, place in places if _asks_symmetry(groups[group][place]) == asked]
            if not own:
                continue
            path = folder and folder.with_name(folder.name + name)
            journal = RelaxedCrystals(path, self.potential, replace(settings, fix_symmetry=True) if asked else settings)
            structures = [rated[group][place].structure for group, place in own]
            results = journal.relax([each for each in structures if isinstance(each, Crystal)], workers)
            found |= dict(zip(own, results, strict=True))
        return [found[place] for place in places]

    def _best_distinct(self, ratings: Sequence[Rating]) -> list[int]:
        """Places of the best distinct ones of a request, no more than are relaxed."""
        order = sorted(
            (place for place, rating in enumerate(ratings) if rating.value is not None),
            key=lambda place: -ratings[place].merit,
        )
        structures = [structure for place in order if (structure := ratings[place].structure) is not None]
        return [order[kept] for kept in distinct_structures(structures, self.relax).kept]

    def _by_relaxation(self, sample: Sample, rating: Rating, result: Relaxation) -> Rating:
        if result.crystal is None or result.energy_per_atom is None:
            return replace(rating, reason=f"relaxation {result.outcome}: {result.reason}")
        if contact := closest_contact(result.crystal):
            return replace(rating, reason=f"as relaxed no energy to be believed: {contact.reason}")
        if _asks_symmetry(sample) and (became := _other_symmetry(sample.request, result.crystal)):
            return replace(rating, reason=f"as relaxed it has the symmetry of {became}")
        facts = dict(rating.facts) | {"relaxed": result.outcome, "energy_per_atom_unrelaxed": rating.value or 0.0}
        if result.displacement is not None:
            facts["displacement"] = round(result.displacement, 4)
        return Rating(
            merit=self._merit(sample, result.crystal, result.energy_per_atom),
            value=round(result.energy_per_atom, _DIGITS),
            structure=result.crystal,
            facts=facts,
            reason=result.reason,
        )

    def _compared(self, ratings: Sequence[Rating]) -> list[Rating]:
        """With energies above the lowest of its composition among the candidates, and above the hull.

        Relaxed energies are compared with relaxed ones, those of scans with those of scans, which what was relaxed has
        had, too: relaxing always lowers.
        """
        lowest: dict[tuple[bool, str], float] = {}
        for rating in ratings:
            if rating.value is None or not isinstance(rating.structure, Crystal):
                continue
            formula = rating.structure.reduced_formula
            energies = {_is_relaxed(rating): rating.value}
            if _is_relaxed(rating):
                energies[False] = float(rating.facts["energy_per_atom_unrelaxed"])
            for relaxed, energy in energies.items():
                lowest[relaxed, formula] = min(energy, lowest.get((relaxed, formula), energy))
        return [self._with_differences(rating, lowest) for rating in ratings]

    def _with_differences(self, rating: Rating, lowest: dict[tuple[bool, str], float]) -> Rating:
        if rating.value is None or not isinstance(rating.structure, Crystal):
            return rating
        like = _is_relaxed(rating), rating.structure.reduced_formula
        differences: dict[str, str | int | float] = {"energy_above_lowest": round(rating.value - lowest[like], _DIGITS)}
        others = dict(rating.facts)
        reasons = [rating.reason]
        if self.hull is not None:
            verdict = self.hull.judge_crystal(rating.structure, rating.value)
            reasons.append(verdict.reason)
            if verdict.above_hull is not None:
                differences["energy_above_hull"] = round(verdict.above_hull, _DIGITS)
            if verdict.formation_energy is not None:
                others["formation_energy"] = round(verdict.formation_energy, _DIGITS)
            if verdict.decomposition:
                others["decomposition"] = verdict.decomposition
        # first, since tables show the first facts
        return replace(rating, facts=differences | others, reason="; ".join(filter(None, reasons)))


def _asks_symmetry(sample: Sample) -> bool:
    """Whether a sample was asked for in some symmetry."""
    return isinstance(sample.request, CrystalRequest) and sample.request.asks_symmetry


def _other_symmetry(request: CrystalRequest | MoleculeRequest, crystal: Crystal) -> str:
    """The space group of a crystal where it is none of those that are asked for."""
    group = crystal.space_group(SYMPREC)
    allowed = isinstance(request, CrystalRequest) and group.number in request.space_groups
    return "" if allowed else f"{group.symbol} ({group.number})"


def _is_relaxed(rating: Rating) -> bool:
    return rating.facts.get("relaxed", "no") != "no"


def _relaxed_first(ratings: list[Rating]) -> list[Rating]:
    """The same with merits that put what was relaxed before what was not, each in its own order."""
    relaxed = [rating.merit for rating in ratings if _is_relaxed(rating)]
    others = [rating.merit for rating in ratings if not _is_relaxed(rating) and rating.value is not None]
    if not relaxed or not others:
        return ratings
    shift = min(min(relaxed) - max(others) - 1.0, 0.0)
    return [rating if _is_relaxed(rating) else replace(rating, merit=rating.merit + shift) for rating in ratings]


def facts_at(pressure: float, result: Relaxation) -> dict[str, str | int | float]:
    """What a relaxation under pressure says: enthalpy, energy and volume an atom, named by the pressure."""
    if result.crystal is None or result.energy_per_atom is None:
        return {f"outcome at {pressure:g} GPa": f"{result.outcome}: {result.reason}"}
    volume = result.crystal.volume / len(result.crystal)
    enthalpy = result.energy_per_atom if result.enthalpy_per_atom is None else result.enthalpy_per_atom
    return {
        f"enthalpy_per_atom at {pressure:g} GPa": round(enthalpy, _DIGITS),
        f"energy_per_atom at {pressure:g} GPa": round(result.energy_per_atom, _DIGITS),
        f"volume_per_atom at {pressure:g} GPa": round(volume, _DIGITS),
    }


def phases_of(answers: Sequence[Sample], pressures: Sequence[float]) -> list[Phase]:
    """The relaxed answers of one request as phases under pressure, named by their ranks.

    Args:
        answers: ranked by energy, with these pressures.
        pressures: GPa, ascending.
    """

    def values(answer: Sample, quantity: str) -> Float[np.ndarray, "pressures"]:
        names = (f"{quantity}_per_atom at {pressure:g} GPa" for pressure in pressures)
        return np.array([float(answer.ranking.get(name, np.nan)) for name in names])

    return [
        Phase(f"rank {answer.ranking['rank']}", np.array(pressures), values(answer, "energy"), values(answer, "volume"))
        for answer in answers
        if np.isfinite(values(answer, "energy")).any()
    ]
