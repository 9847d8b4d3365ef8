"""The wyckoff model as a generator: cells, whom to follow, templates, numbers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from unigen.crystals.crystal import repeat_cell
from unigen.crystals.template import Template, apply_template, parse_template
from unigen.disk import sha256_of
from unigen.elements import SMALLEST_DISTANCE, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.cell_choice import CellChooser, CellRow, Counts
from unigen.models.generator import SCORE_STEPS, Draft, Job, Makes, Opened, Range
from unigen.models.wyckoff.batch import collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.numbers import Noise, draw_numbers, slot_log_likelihoods, with_vectors
from unigen.models.wyckoff.relatives import Admission, Source, SourceChooser, holds
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.templates import search_templates, write_templates
from unigen.models.wyckoff.tokens import Start, WyckoffSequence, decode, plain_start, plan
from unigen.nn.conditions.properties import property_numbers, property_ranges, value_vector
from unigen.request import CrystalRequest
from unigen.retrieval.build_table import TABLE, open_table, table_path
from unigen.retrieval.shortlist import Retriever
from unigen.shapes import Float
from unigen.tokens.sequence import Channel

_LETTER_DRAWS = 65  # a space group and an orbit for each of 64 atoms
_BEAM = 8
"""Templates of a cell that are written in the order of their probability, before others are drawn."""

_TEMPLATE_WEIGHT = 1e3
"""Candidates are ranked by the probability of their template, then by the density of their numbers: densities of
templates with different numbers of free parameters cannot be compared."""


@dataclass(frozen=True, eq=False)
class _Planned:
    """A job, what it starts from, and everything but its numbers."""

    row: CellRow
    source: Source
    log_probability: float
    plan: WyckoffSequence
    group: int

    @property
    def slots(self) -> int:
        """Orbits that have free parameters."""
        return int((self.plan.tokens.channel == Channel.FRACTIONAL).sum())


class WyckoffGenerator:
    """Draws symmetric crystals from a model and what is known; a draw depends on its job alone but for rounding.

    Args:
        model: trained.
        retriever: over the known structures.
        name: reported with every sample.
        version: checksum of weights and known structures.
        settings: how symbols and numbers are drawn.
        score_steps: solver steps of the exact likelihood; 0 leaves it out.
        exclude_formula: follow no structure of the requested formula (for benchmarks).
    """

    makes: Makes = "crystals"

    def __init__(
        self,
        model: WyckoffModel,
        retriever: Retriever,
        name: str,
        version: str = "",
        settings: WyckoffSettings | None = None,
        score_steps: int = SCORE_STEPS,
        *,
        exclude_formula: bool = False,
    ) -> None:
        self.model, self.retriever = model.eval(), retriever
        self.name, self.version = name, version
        self.settings = settings or WyckoffSettings()
        self.score_steps = score_steps
        self.sources = SourceChooser(model, retriever, self.settings, exclude_formula=exclude_formula)
        self._likeliest: dict[tuple, list[tuple[Template, float]]] = {}
        admits = Admission(retriever, self.settings.within).admits
        self.cells = CellChooser(model, self.settings.temperature, admits, self.sources.evidence, self.asked)

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        drafts: list[Draft | None] = [None] * len(jobs)
        rows: list[CellRow] = []
        for place, job in enumerate(jobs):
            try:
                self.asked(job.request)
                rows.append(CellRow.of(place, replace(job, request=apply_template(job.request))))
            except UserError as error:
                drafts[place] = Draft(None, reason=str(error))
        kept: list[tuple[CellRow, Counts]] = []
        for row, cell in zip(rows, self.cells.choose(rows), strict=True):
            if isinstance(cell, UserError) or not holds(row.job.request, cell):
                drafts[row.place] = Draft(None, reason=_reason(row.job.request, cell))
            else:
                kept.append((row, cell))
        for planned, draft in self._decode(self._plan(kept), 0):
            drafts[planned.row.place] = self._sound(draft)
        return [draft for draft in drafts if draft is not None]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator."""
        if self.model.adapter is None:
            return {}
        return property_ranges(
            properties, self.model.config.properties, self.model.config.units, self.model.adapter.range
        )

    def asked(self, request: CrystalRequest) -> Float[np.ndarray, "6"]:
        """The properties of a request as the model is told them; raises UserError for one it does not know."""
        numbers = property_numbers(request.properties, self.model.config.properties)
        return value_vector(numbers, self.settings.guidance)

    def _plan(self, rows: list[tuple[CellRow, Counts]]) -> list[_Planned]:
        """Whom each row follows; the template of those that follow nobody is written."""
        planned, anew = [], []
        for (row, cell), choices in zip(rows, self.sources.choices([cell for _, cell in rows]), strict=True):
            source = self.sources.follow(row.job, choices, self.cells.turn(row, cell))
            if source.neighbour < 0:
                anew.append((row, cell, source))
            else:
                start = self._start(source)
                following = self._told(plan(start), row)
                planned.append(_Planned(row, source, source.log_probability, following, start.crystal.space_group))
        if anew:
            templates, scores = self._templates(anew)
            for (row, cell, source), template, score in zip(anew, templates, scores, strict=True):
                numbers, letters = np.array(template.numbers), np.array(template.letters)
                start = plain_start(template.space_group, numbers, letters, self.retriever.volume.predict(cell))
                total = source.log_probability + float(score)
                planned.append(_Planned(row, source, total, self._told(plan(start), row), template.space_group))
        return planned

    def _told(self, sequence: WyckoffSequence, row: CellRow) -> WyckoffSequence:
        """A plan that says what is asked for."""
        sequence.tokens.vectors[0] = self.asked(row.job.request)
        return sequence

    def _start(self, source: Source) -> Start:
        known = self.retriever.table[int(source.shortlist.sources[source.neighbour])]
        return Start(self.retriever.substitute(source.shortlist, source.neighbour), known.numbers)

    def _templates(self, anew: list[tuple[CellRow, Counts, Source]]) -> tuple[list[Template], np.ndarray]:
        """Those asked for, at no cost in probability; the likeliest one after the other; the others drawn."""
        self._search([(row.job.request, cell) for row, cell, source in anew if source.rank is not None])
        found = [self._known_template(row.job.request, cell, source.rank) for row, cell, source in anew]
        free = [place for place, pair in enumerate(found) if pair is None]
        if free:
            rows, cells = [anew[place][0] for place in free], [anew[place][1] for place in free]
            uniforms = np.stack([_random(row, 1).random(_LETTER_DRAWS) for row in rows])
            groups = [row.job.request.space_groups for row in rows]
            drawn = write_templates(self.model, cells, groups, uniforms, self.settings.temperature)
            for place, *pair in zip(free, *drawn, strict=True):
                found[place] = (pair[0], float(pair[1]))
        written = [pair for pair in found if pair is not None]
        return [template for template, _ in written], np.array([score for _, score in written])

    def _search(self, wanted: list[tuple[CrystalRequest, Counts]]) -> None:
        """Find the likeliest templates of cells for which they are not known yet."""
        asked = {_key(request, cell): (request, cell) for request, cell in wanted if not request.template}
        new = [key for key in asked if key not in self._likeliest]
        cells, groups = [asked[key][1] for key in new], [asked[key][0].space_groups for key in new]
        self._likeliest |= dict(zip(new, search_templates(self.model, cells, groups, _BEAM), strict=True))

    def _known_template(self, request: CrystalRequest, cell: Counts, rank: int | None) -> tuple[Template, float] | None:
        """The template asked for, or the one of this rank among the likeliest; None where it is to be drawn."""
        if request.template:
            return parse_template(request.template), 0.0
        likeliest = [] if rank is None else self._likeliest[_key(request, cell)][rank : rank + 1]
        return likeliest[0] if likeliest else None

    def _decode(self, planned: list[_Planned], trial: int) -> list[tuple[_Planned, Draft]]:
        """Numbers of all plans, drawn again where atoms come too close.

        Plans that follow a neighbour and those that do not start from different noise, so they are drawn apart.
        """
        results = []
        for copied in (True, False):
            part = [one for one in planned if (one.source.neighbour >= 0) == copied]
            if part:
                part.sort(key=lambda one: -one.slots)
                results += self._fill(part, trial)
        close = [one for one, draft in results if self._distance(draft) < self.settings.min_distance and one.slots]
        if not close or trial == self.settings.redraws:
            return results
        again = {one.row.place: (one, draft) for one, draft in self._decode(close, trial + 1)}
        return [
            max((pair, again[pair[0].row.place]), key=lambda pair: self._distance(pair[1]))
            if pair[0].row.place in again
            else pair
            for pair in results
        ]

    def _sound(self, draft: Draft) -> Draft:
        """The draft, or the reason why no program would read it."""
        distance = self._distance(draft)
        if draft.structure is None or distance >= SMALLEST_DISTANCE:
            return draft
        reason = f"atoms {distance:.2f} Angstrom apart in each of {self.settings.redraws + 1} draws of {draft.template}"
        return Draft(None, reason=reason, log_likelihood=draft.log_likelihood, template=draft.template)

    @staticmethod
    def _distance(draft: Draft) -> float:
        return draft.structure.smallest_distance() if draft.structure is not None else 0.0

    def _fill(self, part: list[_Planned], trial: int) -> list[tuple[_Planned, Draft]]:
        device = next(self.model.parameters()).device
        batch = collate_wyckoff(
            [one.plan for one in part],
            [one.source.neighbour for one in part],
            collate_shortlists([one.source.shortlist for one in part]),
        ).to(device)
        noise = _noise(part, trial, device, self._spread(part[0], trial))
        vectors = draw_numbers(self.model, batch, [one.group for one in part], noise, self.settings)
        scores: list[float | None] = [None] * len(part)
        if self.score_steps:
            complete = replace(batch, tokens=replace(batch.tokens, vectors=vectors))
            scores = list(slot_log_likelihoods(self.model, complete, self.score_steps).tolist())
        filled = vectors.cpu().numpy()
        return [(one, self._draft(one, filled[row], scores[row])) for row, one in enumerate(part)]

    def _spread(self, one: _Planned, trial: int) -> float:
        """How much noise the numbers start from: what was drawn without, and came too close, is drawn again with."""
        return self.settings.departure if one.source.neighbour >= 0 and trial == 0 else 1.0

    def _draft(self, one: _Planned, vectors: np.ndarray, density: float | None) -> Draft:
        crystal = decode(with_vectors(one.plan, vectors))
        template = Template(one.group, tuple(crystal.numbers.tolist()), tuple(crystal.letters.tolist()))
        try:
            structure = repeat_cell(crystal.to_crystal(), one.source.copies)
        except UserError as error:
            return Draft(None, reason=str(error))
        return Draft(
            structure,
            log_likelihood=None if density is None else one.log_probability + density,
            score=one.log_probability * _TEMPLATE_WEIGHT + (density or 0.0),
            source=self._source(one, vectors),
            template=str(template),
        )

    def _source(self, one: _Planned, vectors: np.ndarray) -> dict[str, str | int | float]:
        """Which known structure was followed, how likely that was, and how far the crystal departed from it."""
        chosen = one.source
        if chosen.neighbour < 0:
            return {"id": "none", "probability": round(float(np.exp(chosen.log_probability)), 4)}
        source = int(chosen.shortlist.sources[chosen.neighbour])
        channel = one.plan.tokens.channel
        moved = vectors[: len(channel)] - one.plan.start
        shift = moved[channel == Channel.FRACTIONAL, :3]
        shift = shift - np.round(shift)
        repeated: dict[str, str | int | float] = {"copies": chosen.copies} if chosen.copies > 1 else {}
        return repeated | {
            "id": str(self.retriever.table.ids[source]),
            "formula": format_formula(reduce_counts(self.retriever.table.counts(source))[0]),
            "distance": round(float(chosen.shortlist.distance[chosen.neighbour]), 4),
            "probability": round(float(np.exp(one.log_probability)), 4),
            "cell_change": round(float(np.abs(moved[channel == Channel.LATTICE, :3]).max()), 4),
            "site_shift": round(float(np.abs(shift).max(initial=0.0)), 4),
        }


def wyckoff_generator(opened: Opened) -> WyckoffGenerator:
    """A generator of a trained model over the dataset that is asked for, or the table beside the weights.

    Raises:
        UserError: no dataset is asked for, and there is no table.
    """
    known: str | Path
    if opened.retrieve_from is not None:
        known = opened.retrieve_from
    else:
        assert opened.folder is not None, "a trained model has a folder"
        known = opened.folder / TABLE
        if not known.exists():
            raise UserError(
                "this model retrieves known structures: from which dataset?",
                where=str(opened.folder),
                next_step="give --retrieve-from, such as oqmd-icsd (with: unigen data templates oqmd-icsd)",
            )
    return WyckoffGenerator(
        opened.network,
        Retriever(open_table(known)),
        opened.name,
        f"{opened.version}+{sha256_of(table_path(known)[0])}",
        opened.settings,
        opened.score_steps,
        exclude_formula=opened.exclude_formula,
    )


def _key(request: CrystalRequest, cell: Counts) -> tuple:
    return tuple(sorted(cell.items())), request.space_groups


def _reason(request: CrystalRequest, cell: Counts | UserError) -> str:
    if isinstance(cell, UserError):
        return str(cell)
    try:
        WyckoffGrammar(cell, request.space_groups).check()
    except UserError as error:
        return str(error)
    raise AssertionError("the cell fits")


def _random(row: CellRow, stream: int) -> np.random.Generator:
    """The job's own random numbers, one stream for templates (1) and one a trial for noise (2, 3, ...)."""
    job = row.job
    return np.random.default_rng([job.seed, job.request_index, job.index, job.candidate, 1000 + stream])


def _noise(part: list[_Planned], trial: int, device: torch.device, spread: float) -> Noise:
    most = max(1, *(one.slots for one in part))
    lattice = np.zeros((len(part), 6), dtype=np.float32)
    sites = np.zeros((len(part), most, 3), dtype=np.float32)
    for place, one in enumerate(part):
        rng = _random(one.row, 2 + trial)
        lattice[place] = rng.standard_normal(6, dtype=np.float32)
        sites[place, : one.slots] = rng.standard_normal((one.slots, 3), dtype=np.float32)
    return Noise(torch.from_numpy(lattice).to(device) * spread, torch.from_numpy(sites).to(device) * spread)
