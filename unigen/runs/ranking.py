"""A run that draws candidates and keeps the best of each request.

In its folder ``candidates/`` is the run that drew them, ``ranking/`` what was computed to rank them (both are gone on
with after an interruption), ``ranking.csv`` a line a candidate, and beside them the answers, as any run has samples.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.disk import alone_in, durable_text
from unigen.energies.enthalpy import stable_phases, transitions
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.choice import Choice
from unigen.ranking.energy import phases_of
from unigen.ranking.pattern import poor_fits
from unigen.ranking.ranker import Ranker, Rating
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.folder import Row, RunFolder, said_known, was_made
from unigen.runs.generation import RunSettings, draw_samples, sample_remarks
from unigen.runs.sample_table import sample_columns
from unigen.runs.tables import SHOWN, answers_table
from unigen.sample.rank import by_request, open_ranker, rank_candidates
from unigen.sample.scan import SCAN, write_scan

if TYPE_CHECKING:
    from rich.console import Console

CANDIDATES, RATINGS, TABLE, TRANSITIONS = "candidates", "ranking", "ranking.csv", "transitions.csv"


def run_ranking(
    requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest],
    folder: RunFolder,
    candidates: RunFolder,
    settings: RunSettings,
    ranking: RankSettings,
    *,
    workers: int | None = None,
    console: Console | None = None,
) -> list[Row]:
    """Draw candidates, rank them, write the best; returns one row an answer.

    Args:
        requests: what is wanted.
        folder: of the answers; an interrupted run goes on.
        candidates: of the candidates, `CANDIDATES` within the former.
        settings: how they are drawn; ``n`` is how many answers a request gets.
        ranking: how many are drawn, and what ranks them.
        workers: processes that rate; by default one a core.
        console: for remarks, progress and tables; silent without.

    Raises:
        UserError: as `run_generation`, and what `open_ranker` raises.
    """
    if settings.n > ranking.candidates:
        got = f"{settings.n} answers of {ranking.candidates} candidates"
        raise UserError("more answers are wanted than candidates drawn", got=got)
    generator = settings.load(folder.kind)
    ranker = open_ranker(ranking, generator, requests, settings.device)  # before anything is written
    facts = settings.facts(generator, requests, folder)
    facts["ranking"] = _facts(ranking, ranker)
    folder.known = settings.known_formulas
    with alone_in(folder.path):
        folder.claim(facts)
        if settings.scans:
            write_scan(folder.path / SCAN, (each for scan in settings.scans for each in scan.compositions))
        drawing = replace(settings, n=ranking.candidates, scans=())  # the scan is the answers', and written above
        drawn = draw_samples(requests, candidates, drawing, generator, console)
        # as they stand in the journal: a run that goes on rates the same digits
        groups = by_request(candidates.sample_of(row, requests[row["request_index"]]) for row in drawn)
        with Workers(workers, progress=console is not None) as pool:
            rows, choices = write_ranked(folder, groups, drawn, ranker, settings.n, pool)
        said = _write_transitions(folder, choices, ranking.pressures) if ranking.pressures else []
    if console is not None:
        made = [row for row in rows if was_made(row)]
        if len(requests) > 1:  # ranks of two compositions do not compare, what is above the hull does
            made.sort(key=lambda row: row["ranking"].get("energy_above_hull", float("inf")))
        console.print(answers_table(made[:SHOWN], len(made), ranker.unit, console.width))
        for line in [
            *sample_remarks(requests, drawn),
            *said,
            *_near_the_hull(made),
            *poor_fits(first_answers(made))[:SHOWN],
        ]:
            console.out(line, highlight=False)
        missing = len(rows) - len(made)
        console.out(
            f"{len(made)} answer{'' if len(made) == 1 else 's'} of {sum(map(len, groups))} candidates, ranked by "
            f"{ranker.name}"
            f"{f', {missing} missing' if missing else ''}; written to {folder.path}",
            highlight=False,
        )
        if missing:
            first = next(row for row in rows if not was_made(row))
            console.out(f"why, for the first: {first['id']}: {first['reason']}", highlight=False)
        if order := order_note(facts["ranking"]):
            console.out(order, highlight=False)
        console.out(f"learned from: {ranker.trained_on}", highlight=False)
    return rows


def write_ranked(
    folder: RunFolder,
    groups: Sequence[Sequence[Sample]],
    drawn: Sequence[Row],
    ranker: Ranker,
    n: int,
    workers: Workers,
) -> tuple[list[Row], list[Choice]]:
    """Rank candidates, what was computed for it before taken from the folder, and write answers and the table.

    Args:
        folder: claimed.
        groups: the candidates of each request.
        drawn: their lines in the journal, which say what each is.
        ranker: what chooses.
        n: answers a request.
        workers: what is slow is spread over these.
    """
    rated, choices = rank_candidates(groups, ranker, n, workers, folder.path / RATINGS)
    folder.hold(answer for choice in choices for answer in choice.answers)
    rows = folder.finish()
    described = {(row["request_index"], row["index"]): row for row in drawn}
    # an answer is what the ranker made of its candidate, such as its relaxed structure
    described |= {(row["request_index"], row["ranking"]["candidate"]): row for row in rows if was_made(row)}
    _write_table(folder, groups, described, rated, choices, ranker)
    return rows, choices


NEAR = 0.1
"""eV/atom above the hull of what is printed as perhaps stable: MatterGen's limit."""


_OWN_ERROR = (
    "below the hull is no discovery by itself: energies of a potential stand against the hull's own calculations, from "
    "which CHGNet's are off by 0.023 eV/atom on average for known crystals (eval/README.md)"
)
"""Of 100 MP-20 test structures, against those of the Materials Project; other potentials were not measured."""


def order_note(ranking: Mapping[str, Any]) -> str:
    """What else than its quantity decides the order of a ranking, in a sentence; empty where nothing does.

    Args:
        ranking: of ``run.yaml``.
    """
    if ranking["by"] != "energy":
        return ""
    return (
        "A place in the ranking weighs the energy against what the model holds likely, "
        f"{ranking['log_probability_weight']:g} eV/atom a nat: the lowest energy need not come first."
    )


def first_answers(rows: Sequence[Row]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Of each request its name, and what ranked its best answer."""
    return ((str(row["id"]), row["ranking"]) for row in rows if row["ranking"]["rank"] == 1)


def _near_the_hull(rows: Sequence[Row]) -> list[str]:
    """Answers on the hull or near it, the lowest first: the answer to a scan of compositions."""
    above = [(row["ranking"]["energy_above_hull"], row) for row in rows if "energy_above_hull" in row["ranking"]]
    if not above:
        return []
    near = sorted((pair for pair in above if pair[0] <= NEAR), key=lambda pair: pair[0])
    ranked = any(row["ranking"]["rank"] > 1 for row in rows)
    names = (f"{row['id']}{' rank ' + str(row['ranking']['rank']) if ranked else ''}" for _, row in near)
    told = ", ".join(f"{name} ({energy:+.3f})" for name, (energy, _) in list(zip(names, near, strict=True))[:SHOWN])
    more = f" and {len(near) - SHOWN} more" if len(near) > SHOWN else ""
    known = [row["known"] == "yes" for _, row in near if "known" in row]
    of_known = f", {sum(known)} of them of compositions that the table or the hull holds" if known else ""
    lines = [f"{len(near)} of {len(above)} within {NEAR} eV/atom of the hull{of_known}: {told}{more}".rstrip(": ")]
    return lines + ([_OWN_ERROR] if near and near[0][0] < 0 else [])


def _facts(ranking: RankSettings, ranker: Ranker) -> dict[str, Any]:
    """What determines the answers; settings that this way of ranking does not have are left out."""
    set_ones = {name: value for name, value in asdict(ranking).items() if value not in (None, (), 0, False)}
    return set_ones | ranker.facts() | {"trained_on": ranker.trained_on}


def _write_table(
    folder: RunFolder,
    groups: Sequence[Sequence[Sample]],
    described: Mapping[tuple[int, int], Row],
    rated: Sequence[Sequence[Rating]],
    choices: Sequence[Choice],
    ranker: Ranker,
) -> None:
    """A line a candidate, those of a request the best first: what it is and got, and which answer it is or is like."""
    names = dict.fromkeys(name for ratings in rated for rating in ratings for name in rating.facts)
    what = ("formula", "cell_formula", "space_group", "prototype") if folder.kind == "crystals" else ("formula",)
    columns = ["id", "request_index", "candidate", "rank", "same_as_rank", *what, *["known"] * bool(folder.known)]
    columns += [ranker.quantity, "merit", *names]
    columns.append("reason")
    with durable_text(folder.path / TABLE) as file:
        table = csv.DictWriter(file, dict.fromkeys(columns), lineterminator="\n")
        table.writeheader()
        for samples, ratings, choice in zip(groups, rated, choices, strict=True):
            for place in choice.order:
                sample, rating = samples[place], ratings[place]
                told = sample_columns(described[sample.request_index, sample.index])
                table.writerow(
                    {
                        "id": sample.request.id or getattr(sample.request, "formula", None) or "",
                        "request_index": sample.request_index,
                        "candidate": sample.index,
                        "rank": choice.rank.get(place, ""),
                        "same_as_rank": choice.same_as.get(place, ""),
                        **{name: told.get(name, "") for name in what},
                        **said_known(folder.known, getattr(sample.request, "formula", None)),
                        "merit": f"{rating.merit:.6f}" if rating.value is not None else "",
                        "reason": sample.reason or rating.reason,
                        **rating.facts,
                        ranker.quantity: "" if rating.value is None else rating.value,
                    }
                )


def read_table(path: Path) -> tuple[str, list[dict[str, str]]]:
    """The quantity that ranks, and the lines of the table of candidates, the best of each request first."""
    with path.open(encoding="utf-8", newline="") as file:
        table = csv.DictReader(file)
        columns = list(table.fieldnames or ())
        return columns[columns.index("merit") - 1], list(table)


def _write_transitions(folder: RunFolder, choices: Sequence[Choice], pressures: Sequence[float]) -> list[str]:
    """What is stable at each pressure, and where that changes, as a table and in words."""
    said, lines = [], []
    for choice in choices:
        phases = phases_of([answer for answer in choice.answers if answer.ranking], pressures)
        request = choice.answers[0].request
        name = request.id or getattr(request, "formula", None) or f"request {choice.answers[0].request_index}"
        stable = stable_phases(phases) if phases else [None for _ in pressures]
        told = ", ".join(
            f"{phase or 'unknown'} at {pressure:g} GPa" for phase, pressure in zip(stable, pressures, strict=True)
        )
        said.append(f"{name}: lowest enthalpy: {told}")
        for change in transitions(phases) if phases else ():
            said.append(f"{name}: {change.below} to {change.above} at {change.pressure:.2f} GPa")
            lines.append((name, change.below, change.above, f"{change.pressure:.4f}", f"{change.volume_change:.5f}"))
    with durable_text(folder.path / TRANSITIONS) as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("id", "below", "above", "pressure_GPa", "volume_change"))
        table.writerows(lines)
    return said[:SHOWN]
