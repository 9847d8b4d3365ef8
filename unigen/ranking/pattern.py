"""Ranking by a powder pattern: the candidate that explains what was measured, its cell and atoms left free to fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.files import read_pattern
from unigen.crystals.powder.matching import Freedom, Match, Target, match, prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import calculated_profile
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.ranker import Rating, log_probability, unrated
from unigen.request import CrystalRequest, MoleculeRequest

LOG_PROBABILITY_WEIGHT = 0.002
"""Of similarity, that a nat of the generator's log probability is worth: structures of like scatterers have one pattern
to the third digit. Of 250 MP-20 validation compositions with clean patterns 86.0 % are right with it (0.0005 to 0.003
alike), 84.4 % without."""

REFINED = 6
"""Candidates of a request whose atoms are fitted too, best first by the fit of their cells: it takes twice the time of
that."""

_TOGETHER = 8
"""Candidates of one request that a worker gets with the pattern: few, so that two cores share one request's, and enough
that the pattern is not sent more often than it is used."""


@dataclass(frozen=True, eq=False)
class PatternRanker:
    """The nearest to a powder pattern comes first; obeys `unigen.ranking.ranker.Ranker`.

    Every candidate's free lattice parameters are fitted to the pattern, which ranks them together with a little of what
    the generator holds likely; then the free coordinates of the best ones' atoms; the structures of the ratings are the
    fitted ones. The number, of the fitted cell, is the cosine between the square roots of the
    calculated and the measured pattern (`unigen.crystals.powder.matching`), 1 for the same pattern.

    Attributes:
        pattern: of every request that names none; None where all name their own (``CrystalRequest.pxrd``).
        wavelength: as `read_pattern` takes it, for the patterns that requests name.
        axis: likewise.
        move_atoms: fit coordinates too; False for the cells alone.

    Example:
        >>> ranker = PatternRanker(read_pattern("oxide.xy"))  # doctest: +SKIP
        >>> [ratings] = ranker.rate([generate("TiO2", n=20)], Workers(1))  # doctest: +SKIP
    """

    pattern: PowderPattern | None = None
    wavelength: str | float | None = None
    axis: Axis | None = None
    move_atoms: bool = True

    name = "pxrd"
    quantity = "similarity"
    unit = ""
    lower_is_better = False
    trained_on = (
        "nothing: the pattern is calculated from the structure (scattering factors of International Tables C) and "
        "compared with the measured one"
    )

    def facts(self) -> dict[str, object]:
        """See `Ranker.facts`."""
        return {"wavelength": self.wavelength, "axis": self.axis, "move_atoms": self.move_atoms}

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        """Read the pattern of every request, before anything is drawn for them.

        Raises:
            UserError: a request without a pattern where there is no other, a pattern that cannot be read.
        """
        crystals = [request for request in requests if isinstance(request, CrystalRequest)]
        for path in dict.fromkeys(request.pxrd for request in crystals):
            if path is None and self.pattern is None:
                named = next(request for request in crystals if request.pxrd is None)
                raise UserError(
                    "a request without a powder pattern",
                    got=named.id or named.formula or "a request of any composition",
                    next_step="say --pxrd FILE, or put a column pxrd into the file of requests",
                )
            if path is not None:
                prepare(read_pattern(path, wavelength=self.wavelength, axis=self.axis))

    def rate(self, groups: Sequence[Sequence[Sample]], workers: Workers) -> list[list[Rating]]:
        """See `Ranker.rate`.

        Raises:
            UserError: a request without a pattern where there is no other, a pattern that cannot be read.
        """
        targets = self._targets(groups)
        places = [
            (group, index)
            for group, samples in enumerate(groups)
            for index, sample in enumerate(samples)
            if isinstance(sample.structure, Crystal)
        ]
        found = self._matched(groups, targets, places, "cell", workers)
        # candidates are ranked by the fit that all of them had; moved atoms make the best ones better answers
        merits = {
            (group, index): fit.similarity + LOG_PROBABILITY_WEIGHT * log_probability(groups[group][index])
            for (group, index), fit in found.items()
            if isinstance(fit, _Fitted)
        }
        cells = {place: fit.similarity for place, fit in found.items() if isinstance(fit, _Fitted)}
        if self.move_atoms:
            best: list[tuple[int, int]] = []
            for group in range(len(groups)):
                fitted = [place for place in places if place[0] == group and isinstance(found[place], _Fitted)]
                best += sorted(fitted, key=lambda place: -merits[place])[:REFINED]
            moved = self._matched(groups, targets, sorted(best), "atoms", workers)
            # a fit that went astray is no answer: the cell's alone stands
            found |= {
                place: fit
                for place, fit in moved.items()
                if isinstance(fit, _Fitted) and fit.similarity > found[place].similarity
            }
        return [
            [
                _rating(
                    sample,
                    found.get((group, index), sample.reason),
                    cells.get((group, index), 0.0),
                    merits.get((group, index), float("-inf")),
                )
                for index, sample in enumerate(samples)
            ]
            for group, samples in enumerate(groups)
        ]

    def _targets(self, groups: Sequence[Sequence[Sample]]) -> list[Target | None]:
        """The prepared pattern of each request, read once a file."""
        self.check([sample.request for samples in groups for sample in samples[:1]])
        known: dict[str | None, Target] = {}
        targets: list[Target | None] = []
        for samples in groups:
            path = samples[0].request.pxrd if samples else None
            if path not in known and samples:
                pattern = self.pattern
                if path is not None:
                    pattern = read_pattern(path, wavelength=self.wavelength, axis=self.axis)
                assert pattern is not None
                known[path] = prepare(pattern)
            targets.append(known.get(path))
        return targets

    def _matched(
        self,
        groups: Sequence[Sequence[Sample]],
        targets: Sequence[Target | None],
        places: Sequence[tuple[int, int]],
        free: Freedom,
        workers: Workers,
    ) -> dict[tuple[int, int], Any]:
        by_group: dict[int, list[tuple[int, int]]] = {}
        for place in places:
            by_group.setdefault(place[0], []).append(place)
        parts = [
            members[start : start + _TOGETHER]
            for members in by_group.values()
            for start in range(0, len(members), _TOGETHER)
        ]
        tasks: list[Any] = [
            (targets[part[0][0]], [groups[group][index].structure for group, index in part], free) for part in parts
        ]
        results = workers.map(_fit, tasks, "comparing patterns")
        return {
            place: fit for part, fits in zip(parts, results, strict=True) for place, fit in zip(part, fits, strict=True)
        }


@dataclass(frozen=True, eq=False)
class _Fitted(Match):
    r_wp: float


def _fit(task: tuple[Target, list[Crystal], Freedom]) -> list[_Fitted | str]:
    """What comes of each crystal, or why nothing does."""
    target, crystals, free = task
    fits: list[_Fitted | str] = []
    for crystal in crystals:
        try:
            found = match(target, crystal, free)
            fits.append(_Fitted(**vars(found), r_wp=calculated_profile(target, found.crystal).r_wp))
        except UserError as error:
            fits.append(str(error))
    return fits


def _rating(sample: Sample, fit: _Fitted | str, similarity: float, merit: float) -> Rating:
    if isinstance(fit, str):
        return unrated(sample, fit)
    facts = {"r_wp": fit.r_wp, "strain": fit.strain, "scale": fit.scale}
    facts |= {"similarity_with_atoms_moved": fit.similarity} if fit.similarity > similarity else {}
    return Rating(
        merit=merit,
        value=round(similarity, 6),
        structure=replace(fit.crystal),
        facts={name: round(value, 4) for name, value in facts.items() if isfinite(value)},
    )
