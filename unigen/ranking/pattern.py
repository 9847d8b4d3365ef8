"""Ranking by a powder pattern: the candidate that explains what was measured, its cell and atoms left free to fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.files import read_pattern
from unigen.crystals.powder.matching import Freedom, Match, Target, match, prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import calculated_profile
from unigen.errors import UserError
from unigen.journal import Line, ResultJournal, digest
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.ranker import Rating, log_probability, unrated
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.version import __version__

LOG_PROBABILITY_WEIGHT = 0.002
"""Of similarity, that a nat of the generator's log probability is worth: structures of like scatterers have one pattern
to the third digit. Of 250 MP-20 validation compositions with clean patterns 86.0 % are right with it (0.0005 to 0.003
alike), 84.4 % without."""

REFINED = 6
"""Candidates of a request whose atoms are fitted too, best first by the fit of their cells: it takes twice the time of
that."""

POOR_FIT = 0.8
"""Similarity below which the best is likely not the structure. Of the first answers to 750 simulated patterns of MP-20
test (clean, noisy, with an impurity) 92 were below it, and 11 of these right; of the others 595 of 658. Of known
structures of the same elements (`unigen.ranking.identification`) 4 of 194 below, and 294 of 556 above: there a like
pattern may also be that of another composition (``eval/results/pxrd-mp-20``)."""

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
        """See Ranker: the pattern of every request is read.

        Raises:
            UserError: a request without a pattern where there is no other, a pattern that cannot be read.
        """
        self._prepared(requests)

    def _prepared(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> dict[str | None, Target]:
        """The pattern of each path that requests name, and of None where one names none."""
        crystals = [request for request in requests if isinstance(request, CrystalRequest)]
        targets: dict[str | None, Target] = {}
        for path in dict.fromkeys(request.pxrd for request in crystals):
            if path is not None:
                targets[path] = prepare(read_pattern(path, wavelength=self.wavelength, axis=self.axis))
            elif self.pattern is not None:
                targets[path] = prepare(self.pattern)
            else:
                named = next(request for request in crystals if request.pxrd is None)
                raise UserError(
                    "a request without a powder pattern",
                    got=named.id or named.formula or "a request of any composition",
                    next_step="say --pxrd FILE, or put a column pxrd into the file of requests",
                )
        return targets

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        """See `Ranker.rate`.

        Raises:
            UserError: a request without a pattern where there is no other, a pattern that cannot be read.
        """
        patterns = self._prepared([samples[0].request for samples in groups if samples])
        fits = _FittedCrystals(folder and folder / "fitted")
        targets = [patterns[samples[0].request.pxrd] if samples else None for samples in groups]
        places = [
            (group, index)
            for group, samples in enumerate(groups)
            for index, sample in enumerate(samples)
            if isinstance(sample.structure, Crystal)
        ]
        found = self._matched(groups, targets, places, "cell", fits, workers)
        # candidates are ranked by the fit that all of them had; moved atoms make the best ones better answers
        best_fit = {place: fit for place, fit in found.items() if isinstance(fit, _Fitted)}
        reasons = {place: fit for place, fit in found.items() if isinstance(fit, str)}
        similarity = {place: fit.similarity for place, fit in best_fit.items()}
        merits = {
            (group, index): value + LOG_PROBABILITY_WEIGHT * log_probability(groups[group][index])
            for (group, index), value in similarity.items()
        }
        if self.move_atoms:
            best: list[tuple[int, int]] = []
            for group in range(len(groups)):
                fitted = [place for place in merits if place[0] == group]
                best += sorted(fitted, key=lambda place: -merits[place])[:REFINED]
            moved = self._matched(groups, targets, sorted(best), "atoms", fits, workers)
            # a fit that went astray is no answer: the cell's alone stands
            best_fit |= {
                place: fit
                for place, fit in moved.items()
                if isinstance(fit, _Fitted) and fit.similarity > similarity[place]
            }
        return [
            [
                _rating(best_fit[group, index], similarity[group, index], merits[group, index])
                if (group, index) in merits
                else unrated(sample, reasons.get((group, index), sample.reason))
                for index, sample in enumerate(samples)
            ]
            for group, samples in enumerate(groups)
        ]

    def _matched(
        self,
        groups: Sequence[Sequence[Sample]],
        targets: Sequence[Target | None],
        places: Sequence[tuple[int, int]],
        free: Freedom,
        fits: _FittedCrystals,
        workers: Workers,
    ) -> dict[tuple[int, int], _Fitted | str]:
        tasks = [
            _Task(target, crystal, free)
            for group, index in places
            if (target := targets[group]) is not None and isinstance(crystal := groups[group][index].structure, Crystal)
        ]
        return dict(zip(places, fits.fit(tasks, workers), strict=True))


@dataclass(frozen=True, eq=False)
class _Fitted(Match):
    r_wp: float


@dataclass(frozen=True, eq=False)
class _Task:
    """A candidate to be fitted to a pattern."""

    target: Target
    crystal: Crystal
    free: Freedom

    @property
    def key(self) -> str:
        pattern, crystal = self.target.pattern, self.crystal
        arrays = pattern.inverse_d, self.target.net, self.target.weights, crystal.numbers, crystal.frac_coords
        return f"{self.free}-{digest(*arrays, crystal.lattice)}"


class _FittedCrystals:
    """A folder of fits, new or continued; None keeps them in memory.

    Thousands of requests take an hour, and a killed run should not lose it.
    """

    def __init__(self, path: Path | None) -> None:
        self._journal = ResultJournal(
            path,
            {"fit": "of cells, then of atoms, to powder patterns", "unigen": __version__},
            key=lambda task: task.key,
            to_line=_to_line,
            from_line=_from_line,
        )

    def fit(self, tasks: list[_Task], workers: Workers) -> list[_Fitted | str]:
        """What comes of each, or why nothing does, in their order."""

        def compute(missing: list[_Task]) -> Iterator[tuple[int, _Fitted | str]]:
            parts: list[list[int]] = []
            for place, task in enumerate(missing):
                if not parts or len(parts[-1]) == _TOGETHER or missing[parts[-1][0]].target is not task.target:
                    parts.append([])
                parts[-1].append(place)
            together = [
                (missing[part[0]].target, [missing[place].crystal for place in part], missing[part[0]].free)
                for part in parts
            ]
            for part, fits in workers.as_finished(_fit, together, "comparing patterns"):
                yield from zip(parts[part], fits, strict=True)

        return self._journal.results(tasks, compute)


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


def poor_fits(best: Iterable[tuple[str, Mapping[str, object]]]) -> list[str]:
    """A line for each best answer whose pattern is not that like the measured one.

    Args:
        best: names of requests, and what their first answers have in ``ranking``; nothing is said of other rankings.
    """
    lines = []
    for name, ranking in best:
        similarity = ranking.get("similarity")
        if isinstance(similarity, float) and similarity < POOR_FIT:
            lines.append(f"warning: {name}: similarity {similarity:.2f} is a poor fit: {_OF_POOR_FITS}")
    return lines


_OF_POOR_FITS = (
    f"of such answers to simulated patterns, below {POOR_FIT:g}, one in eight was right. Is the composition another, "
    "or the wavelength, or are there several phases?"
)

_NUMBERS = ("similarity", "scale", "strain", "r_wp")


def _to_line(fit: _Fitted | str) -> Line:
    if isinstance(fit, str):
        return {"reason": fit}
    numbers: Line = {name: float(getattr(fit, name)) for name in _NUMBERS}
    return numbers | {"lattice": fit.crystal.lattice.tolist(), "frac_coords": fit.crystal.frac_coords.tolist()}


def _from_line(line: Line, task: _Task) -> _Fitted | str:
    if "reason" in line:
        return str(line["reason"])
    crystal = Crystal(task.crystal.numbers, np.array(line["frac_coords"]), np.array(line["lattice"]))
    return _Fitted(crystal=crystal, **{name: line[name] for name in _NUMBERS})


def _rating(fit: _Fitted, similarity: float, merit: float) -> Rating:
    facts = {"r_wp": fit.r_wp, "strain": fit.strain, "scale": fit.scale}
    facts |= {"similarity_with_atoms_moved": fit.similarity} if fit.similarity > similarity else {}
    return Rating(
        merit=merit,
        value=round(similarity, 6),
        structure=fit.crystal,
        facts={name: round(value, 4) for name, value in facts.items() if isfinite(value)},
    )
