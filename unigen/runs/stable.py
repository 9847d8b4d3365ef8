"""Draw until so many crystals are stable: what is drawn is relaxed, held against a hull, and kept or thrown away.

Beside the usual files of the run folder, which hold the relaxed crystals that were kept, ``drawn/`` is the run folder
of everything that was drawn, ``relaxed/`` the journal of the relaxations, and ``rejected.csv`` tells of each draw that
is not among the answers why. Draws are judged in their order, so that neither a kill nor the number of workers changes
which are kept; both journals are gone on with, and nothing is done twice: also where the folder is asked for another
number of crystals, another limit, more draws, or judged by another hull.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from unigen.config import check_ranges
from unigen.crystals.crystal import Crystal
from unigen.crystals.limits import breach
from unigen.crystals.matching import BoundedMatcher, MatchSettings, ReducedCell
from unigen.crystals.template import template_of
from unigen.data.left_out import LEFT_OUT, LeftOut, left_out_table, write_left_out
from unigen.disk import alone_in
from unigen.elements import ATOMIC_NUMBER, parse_formula
from unigen.energies.hull.hull import Hull, HullVerdict
from unigen.energies.potential import Potential
from unigen.energies.relaxation import Relaxation, RelaxSettings
from unigen.energies.relaxed_crystals import RelaxedCrystals
from unigen.errors import UserError
from unigen.models.generator import Generator
from unigen.parallel import ProgressBar, Workers
from unigen.request import CrystalRequest
from unigen.runs.crystal_files import CrystalFolder, crystal_of
from unigen.runs.folder import JOURNAL, Row
from unigen.runs.generation import RunSettings
from unigen.sample.generate import iter_samples

if TYPE_CHECKING:
    from rich.console import Console

DRAWN, RELAXED = "drawn", "relaxed"
"""Folders in the run folder."""

DRAWS_A_SAMPLE = 20
"""Draws a crystal wanted, at most. Of the bundled model's de novo samples half are stable, new and unlike each other
(``eval/results/denovo-sun``): where not one in twenty is, a request is hopeless or its hull does not fit."""

_DRAWN_AT_ONCE = 64
"""So many fill a batch of the network and take about a second. A constant: the last digits of a draw depend on it."""

_RELAXED_AT_ONCE = 16
"""Enough for the workers of a common machine, and few that are relaxed in vain behind the last one wanted."""

_REVISABLE = ("n", "stable.limit", "stable.draws", "stable.hull.", "stable.matching.")
"""What may be another in a folder that is gone on with: it decides about draws and changes neither them nor their
relaxations."""

_ANY_DISTANCE = 1000.0
"""As ``within``: no two compositions are chemically so far apart, so that it leaves out the known formulas alone."""

Fate = Literal[
    "not drawn",
    "not valid",
    "known already",
    "gated",
    "relaxation failed",
    "hull unknown",
    "too high",
    "duplicate",
    "outside limits",
]
"""Why a draw is thrown away."""


@dataclass(frozen=True, kw_only=True)
class StableRules:
    """Which draws are kept.

    Attributes:
        limit: eV/atom above the hull, at most.
        hull: of known phases, for energies of the potential.
        potential: what relaxes and judges.
        draws: at most; None for `DRAWS_A_SAMPLE` a sample.
        known_formulas: de novo, keep also what has a formula of the hull's phases.
        relaxation: its settings; those of our protocols by default.
        matching: what counts as the same crystal.
    """

    limit: float
    hull: Hull
    potential: Potential
    draws: int | None = None
    known_formulas: bool = False
    relaxation: RelaxSettings = field(default_factory=RelaxSettings)
    matching: MatchSettings = field(default_factory=MatchSettings)

    def __post_init__(self) -> None:
        # no crystal is 10 eV/atom from its hull: that would be another unit
        check_ranges(self, limit=(-10, 10), draws=(1, 10_000_000))

    def facts(self) -> dict[str, object]:
        """What decides, for ``run.yaml``."""
        tolerances = {each.name: getattr(self.matching, each.name) for each in fields(self.matching)}
        return {
            "limit": self.limit,
            "draws": self.draws,
            "known_formulas": self.known_formulas,
            "potential": self.potential.identity,
            "relaxation": self.relaxation.facts(),
            "matching": tolerances,
            "hull": self.hull.facts(),
        }


class _Kept(NamedTuple):
    row: Row
    crystal: Crystal
    relaxation: Relaxation
    verdict: HullVerdict


@dataclass(frozen=True, eq=False)
class StableRun:
    """What became of the draws.

    Attributes:
        rows: of the journal, one a crystal kept, by its draw.
        drawn: how many were drawn and judged.
        thrown_away: how many for which reason, the most frequent first.
        wanted: how many were.
    """

    rows: list[Row]
    drawn: int
    thrown_away: dict[Fate, int]
    wanted: int

    @property
    def summary(self) -> str:
        """In one line, for terminal and page."""
        away = ", ".join(f"{count} {fate}" for fate, count in self.thrown_away.items())
        short = "" if len(self.rows) == self.wanted else f" of {self.wanted} wanted"
        return f"{len(self.rows)} stable crystals{short} from {self.drawn} draws; thrown away: {away or 'none'}"


def run_stable(
    request: CrystalRequest,
    folder: CrystalFolder,
    settings: RunSettings,
    rules: StableRules,
    *,
    workers: int | None = None,
    console: Console | None = None,
) -> StableRun:
    """Draw, relax and judge until ``settings.n`` crystals are kept or all draws are used up; write all files.

    Args:
        request: what is wanted; with a formula none of its structures counts as known.
        folder: of the answers; an interrupted run goes on.
        settings: how to draw.
        rules: what to keep.
        workers: processes of the relaxations; one a core by default.
        console: for progress and tables; silent without.

    Raises:
        UserError: the folder holds another run, the disk is full, the hull lacks an element that is asked for, or not
            one draw is kept.
    """
    _check_elements(request, rules)
    de_novo = request.formula is None and not rules.known_formulas
    generator = _generator(settings, new_formulas=de_novo)
    wanted, draws = settings.n, rules.draws or DRAWS_A_SAMPLE * settings.n
    known = frozenset(rules.hull.reference.formulas if de_novo else ())
    with alone_in(folder.path):
        facts = settings.facts(generator, [request], folder) | {"stable": rules.facts()}
        revised = folder.claim(facts, _REVISABLE)
        if revised:
            folder.remove_structures()  # of answers that may be none by the new rules
        drawn = CrystalFolder(folder.path / DRAWN, formats=())
        patterns = settings.patterns(generator, [request])
        # its n is how many may be drawn: the folder is a run of its own, which anything that reads runs can read
        drawn.claim(replace(settings, n=draws).facts(generator, [request], drawn), ("n",))
        relaxed = RelaxedCrystals(folder.path / RELAXED, rules.potential, rules.relaxation)
        judge = _Judge(rules, request, known, draws)
        with (
            Workers(workers) as pool,
            ProgressBar("stable crystals", wanted, shown=console is not None) as bar,
        ):
            for start in range(0, draws, _DRAWN_AT_ONCE):
                keys = [(0, index) for index in range(start, min(start + _DRAWN_AT_ONCE, draws))]
                for samples in iter_samples(
                    generator, [request], keys, settings.seed, settings.batch_size, drawn.finished, patterns
                ):
                    drawn.append(samples)
                step = max(_RELAXED_AT_ONCE, rules.potential.batch)
                for first in range(0, len(keys), step):
                    before = len(judge.kept)
                    rows = [drawn.rows[key] for key in keys[first : first + step]]
                    judge.take(rows, lambda crystals: relaxed.relax(crystals, pool), wanted)
                    bar.advance(len(judge.kept) - before, f"of {judge.drawn} draws")
                    if len(judge.kept) == wanted:
                        break
                if len(judge.kept) == wanted:
                    break
        drawn.finish()
        relaxed.write((_name(each.row), each.relaxation) for each in judge.kept)
        write_left_out(folder.path / LEFT_OUT, judge.left_out)
        folder.rows = {(0, each.row["index"]): _row(folder, each, request) for each in judge.kept}
        rows = folder.finish()
    counts: dict[Fate, int] = dict(Counter(judge.fates).most_common())
    run = StableRun(rows, judge.drawn, counts, wanted)
    if not rows:
        raise UserError(
            f"not one of {run.drawn} draws is stable",
            where=str(folder.path / LEFT_OUT),
            got=", ".join(f"{count} {fate}" for fate, count in counts.items()),
            next_step=_next_step(judge, request, generator)
            + (
                "; what was kept by the rules before is gone from the folder, and these give it again"
                if revised
                else ""
            ),
        )
    if console is not None:
        folder.print_summary(rows, console)
        if counts:
            console.print(left_out_table("thrown away", {str(fate): count for fate, count in counts.items()}, "draws"))
        console.out(run.summary, highlight=False)
    return run


def _check_elements(request: CrystalRequest, rules: StableRules) -> None:
    """Told before anything is drawn: of what is asked for, nothing could be judged."""
    required = [ATOMIC_NUMBER[symbol] for symbol in request.must_contain or ()]
    asked = required if request.formula is None else list(parse_formula(request.formula))
    if missing := rules.hull.missing_elements(asked):
        raise UserError(
            f"the hull has no energy of the element {missing[0]} for {rules.potential.name}",
            where=rules.hull.reference.card.name,
            got=request.formula or "-".join(request.must_contain or ()),
            next_step=rules.hull.way_to_add(missing[0], rules.potential),
        )


def _next_step(judge: _Judge, request: CrystalRequest, generator: Generator) -> str:
    """What to do where nothing is stable: by what stood in the way."""
    rules, steps = judge.rules, []
    if judge.unknown:
        (reason, missing), count = judge.unknown.most_common(1)[0]
        way = rules.hull.way_to_add(missing, rules.potential) if missing else "choose another --hull"
        steps.append(f"{count} of them hull unknown: {reason}; {way}")
    if judge.lowest is not None:
        above, met = judge.lowest
        steps.append(f"the lowest met is {above:.3f} eV/atom above the hull ({met})")
    if judge.lowest is not None or not judge.unknown:
        within = getattr(generator.settings, "within", "no such setting")
        # what follows known crystals within a distance has other formulas than theirs
        nearer = request.formula is None and not rules.known_formulas and within in (None, _ANY_DISTANCE)
        steps.append(
            "give more --draws or a larger --stable (the same --out goes on)"
            + (", or --within 0.2, which draws nearer to known crystals" if nearer else "")
        )
    return "; ".join(steps)


def _generator(settings: RunSettings, *, new_formulas: bool) -> Generator:
    """The generator; one that can is told to draw no formula that it knows."""
    generator = settings.load("crystals")
    if new_formulas and getattr(generator.settings, "within", "no such setting") is None:
        return replace(settings, decoding={**settings.decoding, "within": _ANY_DISTANCE}).load("crystals")
    return generator


class _Judge:
    """Takes draws in their order, and remembers what became of each."""

    def __init__(self, rules: StableRules, request: CrystalRequest, known: frozenset[str], draws: int) -> None:
        self.rules, self.request, self.known, self.draws = rules, request, known, draws
        self.drawn = 0
        self.kept: list[_Kept] = []
        self.left_out: list[LeftOut] = []
        self.fates: list[Fate] = []
        self.unknown: Counter[tuple[str, str]] = Counter()
        """Why the hull tells nothing, and the symbol of the element that it lacks, if that is why."""
        self.lowest: tuple[float, str] | None = None
        """eV/atom above the hull, and of which draw."""
        self._matcher = BoundedMatcher(rules.matching)
        self._cells: dict[str, list[tuple[str, ReducedCell]]] = defaultdict(list)

    def take(self, rows: Sequence[Row], relax: Callable[[list[Crystal]], list[Relaxation]], wanted: int) -> None:
        """Judge these draws up to the last that is wanted; the others are not counted."""
        verdicts = [self._before(row) for row in rows]
        crystals = [verdict for verdict in verdicts if isinstance(verdict, Crystal)]
        relaxations = iter(relax(crystals))
        for row, verdict in zip(rows, verdicts, strict=True):
            if len(self.kept) == wanted:
                return
            self.drawn += 1
            judged = self._after(row, next(relaxations)) if isinstance(verdict, Crystal) else verdict
            if isinstance(judged, _Kept):
                self.kept.append(judged)
            else:
                fate, reason = judged
                self.fates.append(fate)
                reason = f"{fate}: {reason}" if reason else fate
                self.left_out.append(LeftOut(_name(row), f"{DRAWN}/{JOURNAL} index {row['index']}", reason))

    def _before(self, row: Row) -> Crystal | tuple[Fate, str]:
        """What is to be relaxed, or why not."""
        crystal = crystal_of(row)
        if crystal is None:
            return "not drawn", str(row["reason"])
        if not row["checks"]["valid"]:
            checks = row["checks"]
            nearest = f"smallest distance {checks['smallest_distance']:.2f} A"
            return "not valid", checks.get("close_contact") or checks.get("not_molecular") or nearest
        if crystal.reduced_formula in self.known:
            return "known already", f"{crystal.reduced_formula} is in the hull {self.rules.hull.reference.card.name}"
        return crystal

    def _after(self, row: Row, result: Relaxation) -> _Kept | tuple[Fate, str]:
        """What is kept, or why not. Out of steps is no reason: its energy is an upper bound."""
        if result.crystal is None or result.energy_per_atom is None:
            return "gated" if result.outcome == "gated" else "relaxation failed", result.reason
        verdict = self.rules.hull.judge_crystal(result.crystal, result.energy_per_atom)
        if verdict.above_hull is None:
            missing = self.rules.hull.missing_elements(result.crystal.counts)
            self.unknown[verdict.reason, missing[0] if missing else ""] += 1
            return "hull unknown", verdict.reason
        met = verdict.above_hull, f"{result.crystal.reduced_formula}, draw {row['index']}"
        self.lowest = met if self.lowest is None else min(self.lowest, met)
        if verdict.above_hull > self.rules.limit:
            return "too high", f"{verdict.above_hull:.3f} eV/atom above the hull"
        broken = breach(self.request, result.crystal)
        if broken.size:
            return "outside limits", f"once relaxed: {broken.reason}"
        cell = self._matcher.reduce(result.crystal)
        cells = self._cells[result.crystal.reduced_formula]
        for name, other in cells:
            if self._matcher.same(cell, other).rms is not None:
                return "duplicate", f"of {name}"
        cells.append((_name(row), cell))
        return _Kept(row, result.crystal, result, verdict)


def _name(row: Row) -> str:
    return f"{row['id']}__{row['index']}"


def _row(folder: CrystalFolder, kept: _Kept, request: CrystalRequest) -> Row:
    """The line of a crystal that was kept: as of a draw, of the relaxed structure, with its energies."""
    row, result, verdict = kept.row, kept.relaxation, kept.verdict
    drawn = folder.sample_of(row, request)
    sample = replace(drawn, structure=kept.crystal, template=template_of(kept.crystal) or "")
    return folder.row_of(sample) | {
        "relaxation": result.outcome,
        "energy_per_atom": result.energy_per_atom,
        "formation_energy": verdict.formation_energy,
        "above_hull": verdict.above_hull,
        "decomposition": verdict.decomposition,
        "displacement": result.displacement,
        "volume_change": result.volume_change,
    }


def stable_notes(run: StableRun, folder: Path, rules: StableRules) -> list[str]:
    """What the page of the run says above its table."""
    where = f"at most {rules.limit:g} eV/atom above the hull {rules.hull.reference.card.name}"
    files = f"Why each of them: {LEFT_OUT}, beside this page; what was drawn: {folder.name}/{DRAWN}."
    return [
        f"Relaxed by {rules.potential.name}, {where}: {run.summary}. {files}",
        "The potential that chose these cannot judge them: evaluate them with another one.",
    ]
