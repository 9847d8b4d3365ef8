"""The wyckoff model as a generator: cell, source structure, template, then free parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

from unigen.bounded_cache import BoundedCache
from unigen.cards import Kind
from unigen.crystals.crystal import repeat_cell
from unigen.crystals.limits import KEPT, Breach, breach
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.crystals.powder.peaks import PeakList, key_of
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.template import SYMPREC, Template, apply_template, parse_template
from unigen.elements import SMALLEST_DISTANCE, format_formula, reduce_counts
from unigen.errors import UserError
from unigen.models.cell_choice import CellChooser, CellRow, Counts
from unigen.models.generator import SCORE_STEPS, UNUSED, Candidate, Job, OpenedModel, Range
from unigen.models.known_structures import open_known
from unigen.models.peaks import asked_peaks
from unigen.models.wyckoff.batch import collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.cached_decoder import CachedDecoder, PlanReading
from unigen.models.wyckoff.decoding import Noise, draw_parameters, slot_log_likelihoods, with_vectors
from unigen.models.wyckoff.distinct_groups import DistinctGroups
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.parents import ParentSources
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.source_choice import CellFilter, Source, SourceChooser, some_space_group_holds
from unigen.models.wyckoff.templates import Search, draw_templates, search_templates
from unigen.models.wyckoff.tokens import Start, WyckoffSequence, decode, plain_start, plan_sequence
from unigen.nn.conditions.properties import property_numbers, property_ranges, value_vector
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Formula
from unigen.retrieval.parents import Parents
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import MAX_ATOMS, MAX_ORBITS
from unigen.retrieval.volume_estimate import VolumeEstimate
from unigen.shapes import Float
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import MAX_COUNT

_TEMPLATE_DRAWS = MAX_ORBITS + 1  # a space group and each orbit
_BEAM = 8
"""Templates of a cell that are written in the order of their probability, before others are drawn. A formula's samples
reach them when the known structures are used up, so few are needed; each costs a row in every step of the search."""

_REMEMBERED = 4096
"""Cells whose likeliest templates are kept, some 2 KB each."""

_REDRAWN_TOGETHER = 8
"""Rows that are drawn again at once, at most, by trying each several times: on a CPU eight rows cost twice one."""

_TEMPLATE_WEIGHT = 1e3
"""Candidates are ranked by the merit of source and template, then by the density of their parameters: densities over
different numbers of free parameters cannot be compared. A nat of density weighs a thousandth of a nat of merit."""


_CellAndGroups = tuple[tuple[tuple[int, int], ...], frozenset[int], bytes]
"""A cell, as pairs of atomic number and count, the space groups that are allowed, and the peaks that are asked for."""


@dataclass(frozen=True, eq=False)
class _Plan:
    """A job, the structure it starts from, and all its tokens but the vectors.

    Attributes:
        row: the job.
        source: what it follows.
        log_probability: of source and template, in nats, as the model holds it.
        merit: of both, in nats, as samples are ordered: see `Source` and `WyckoffGenerator._templates`.
        sequence: the tokens, vectors zero.
        space_group: international number.
    """

    row: CellRow
    source: Source
    log_probability: float
    merit: float
    sequence: WyckoffSequence
    space_group: int

    @property
    def follows(self) -> bool:
        """Whether it starts from the parameters of a known structure."""
        return self.source.neighbour >= 0

    @property
    def n_sites(self) -> int:
        """Orbits that have free parameters."""
        return int((self.sequence.tokens.channel == Channel.FRACTIONAL).sum())


@dataclass(frozen=True, eq=False)
class _Drawn:
    """What a plan came to, and how far that is from what is asked for; each judgement is made once, when it is wanted.

    Attributes:
        plan: what was drawn.
        candidate: what it came to.
    """

    plan: _Plan
    candidate: Candidate

    @cached_property
    def smallest_distance(self) -> float:
        """Between two atoms, Angstrom; 0 for a failure, so that any structure is better."""
        structure = self.candidate.structure
        return 0.0 if structure is None else structure.smallest_distance()

    @cached_property
    def contact_ratio(self) -> float:
        """Of the closest contact to what its elements keep in known crystals; 1 where all keep it, 0 for a failure."""
        if self.candidate.structure is None:
            return 0.0
        contact = closest_contact(self.candidate.structure)
        return 1.0 if contact is None else contact.ratio

    @cached_property
    def breach(self) -> Breach:
        """Of the request's limits; none by a failure, which is not drawn again for them."""
        request, structure = self.plan.row.job.request, self.candidate.structure
        return KEPT if structure is None or not request.limits_geometry else breach(request, structure)

    @cached_property
    def other_symmetry(self) -> str:
        """What is wrong with the symmetry where a space group is asked for; empty where nothing is.

        A template of zincblende's group with both elements on special positions is halite, whose group is another one.
        Who asks for a template by its letters gets it, and is told what symmetry it has.
        """
        request, structure = self.plan.row.job.request, self.candidate.structure
        if structure is None or request.template is not None or not request.asks_symmetry:
            return ""
        number, symbol = structure.space_group(SYMPREC)
        return "" if number in request.space_groups else f"has the symmetry of {symbol} ({number})"

    @property
    def fitness(self) -> tuple[bool, float, float, float]:
        """Which to keep of draws that all break something: the largest.

        First what has the symmetry asked for, then the smallest breach of a limit, the least close contact in
        proportion to what its elements keep, and the largest smallest distance.
        """
        return not self.other_symmetry, -self.breach.size, self.contact_ratio, self.smallest_distance

    def is_unfit(self, min_distance: float) -> bool:
        """Whether it is to be drawn again; atoms that are too close only where numbers of theirs are drawn.

        Args:
            min_distance: Angstrom that atoms keep; 0: whatever they keep.
        """
        too_close = (
            self.plan.n_sites > 0
            and min_distance > 0
            and (self.smallest_distance < min_distance or self.contact_ratio < 1)
        )
        return too_close or bool(self.breach.size) or bool(self.other_symmetry)

    def scored(self, density: float) -> _Drawn:
        """With the log density of its free numbers, in nats."""
        plan, candidate = self.plan, self.candidate
        if candidate.structure is None:
            return self
        log_likelihood, score = plan.log_probability + density, plan.merit * _TEMPLATE_WEIGHT + density
        return _Drawn(plan, replace(candidate, log_likelihood=log_likelihood, score=score))

    def kept(self, draws: int) -> Candidate:
        """The candidate, or the reason why no program would read it, or why it is not what is asked for."""
        candidate = self.candidate
        if candidate.structure is None:
            return candidate
        if self.smallest_distance < SMALLEST_DISTANCE:
            apart = self.smallest_distance
            reason = f"atoms {apart:.2f} Angstrom apart in each of {draws} draws of {candidate.template}"
        elif self.breach.size:
            reason = f"{self.breach.reason}; the nearest to it of {draws} draws of {candidate.template}"
        elif self.other_symmetry:
            reason = f"{self.other_symmetry} in each of {draws} draws of {candidate.template}"
        else:
            return candidate
        return Candidate(None, reason=reason, log_likelihood=candidate.log_likelihood, template=candidate.template)


def _of_one_group(job: Job) -> Job:
    """The job of a request for several space groups, each of which is wanted: for one of them, and so a cell it likes.

    Samples take the groups in turn: those of one group are the samples of a request for that group alone.
    """
    request = job.request
    groups = [group for group in request.given_groups if group in request.space_groups]
    if request.distinct is None or len(groups) < 2:
        return job
    of_one = replace(request, space_group=groups[job.index % len(groups)], distinct=None)
    return replace(job, request=of_one, index=job.index // len(groups))


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
        parents: structures of the user, followed first by every request that they fit.
        known: formulas that are known besides those of the retriever; where there are any, none of either is drawn de
            novo.
        elements: those that may be written where no formula says which; None: all.
    """

    makes: Kind = "crystals"

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
        parents: Parents | None = None,
        known: frozenset[Formula] | None = None,
        elements: frozenset[int] | None = None,
    ) -> None:
        self.model, self.retriever = model.eval(), retriever
        self.name, self.version = name, version
        self.settings = settings or WyckoffSettings()
        self.score_steps = score_steps
        self.most_peaks = model.most_peaks
        self.sources = SourceChooser(model, retriever, self.settings, exclude_formula=exclude_formula)
        self.parents = parents
        self._parents: ParentSources | None = None
        if parents is not None:
            self._parents = ParentSources(parents, retriever.volume, MAX_ATOMS, exclude_formula=exclude_formula)
        self._likeliest = BoundedCache[_CellAndGroups, Search](_REMEMBERED)
        self.distinct = DistinctGroups(self.sources, self._likeliest_templates)
        accepts = CellFilter(retriever, self.settings.within, known).accepts
        self.volumes = VolumeEstimate(retriever)
        self.cells = CellChooser(
            model,
            self.settings.temperature,
            accepts,
            self.sources.size_evidence,
            self.property_vector,
            self.sources.larger_cells,
            MAX_ATOMS,
            elements,
        )

    @torch.inference_mode()
    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """See Generator. A request the model cannot serve fails with the reason; the others go on."""
        candidates: list[Candidate | None] = [None] * len(jobs)
        rows: list[CellRow] = []
        guided: list[tuple[CellRow, Source]] = []
        for position, job in enumerate(jobs):
            try:
                self.property_vector(job.request)
                whole, parent = self._parent(replace(job, request=apply_template(job.request)))
                row = CellRow.of(position, _of_one_group(whole))
                if parent is None:
                    rows.append(row)
                else:
                    guided.append((row, parent))
            except UserError as error:
                candidates[position] = Candidate(None, reason=str(error))
        with_cell: list[tuple[CellRow, Counts]] = []
        for row, cell in zip(rows, self.cells.choose(rows), strict=True):
            request = row.job.request
            try:
                if isinstance(cell, UserError):
                    raise cell
                if not some_space_group_holds(request, cell):
                    WyckoffGrammar(cell, request.space_groups).check()
                with_cell.append((row, cell))
            except UserError as error:
                candidates[row.position] = Candidate(None, reason=str(error))
        decoder = CachedDecoder(self.model)
        planned, refused = self._plan(decoder, with_cell)
        for position, reason in refused.items():
            candidates[position] = Candidate(None, reason=reason)
        plans = [self._following(row, source) for row, source in guided] + planned
        for drawn in self._decode(decoder, plans):
            candidates[drawn.plan.row.position] = drawn.kept(self.settings.redraws + 1)
        return [candidate for candidate in candidates if candidate is not None]

    def fitting_parents(self, request: CrystalRequest) -> list[int]:
        """See FollowsParents."""
        if self._parents is None:
            return []
        sources = [each.source for each in self._parents.of(apply_template(request))]
        return [int(source.shortlist.sources[source.neighbour]) for source in sources]

    def _parent(self, job: Job) -> tuple[Job, Source | None]:
        """The parent that a job follows, or the job that it is when those that follow parents are not counted.

        The n-th sample of a request follows its n-th parent, and what comes after the parents is what a run without any
        begins with.
        """
        found = [] if self._parents is None else self._parents.of(job.request)
        if job.index < len(found):
            return job, found[job.index].source
        return replace(job, index=job.index - len(found)), None

    def is_repeated(self, source: Mapping[str, object]) -> bool:
        """See RepeatsKnown: a structure is followed in the model's order, with the likeliest displacements."""
        drawn = self.settings.departure > 0 or self.settings.source_temperature > 0
        return not drawn and source.get("id") != "none"

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator."""
        config, adapters = self.model.config, self.model.adapters
        if not adapters:
            return {}
        limits, spreads = (torch.cat([getattr(each, name) for each in adapters]) for name in ("range", "std"))
        return property_ranges(properties, config.properties, config.units, limits, spreads)

    def property_vector(self, request: CrystalRequest) -> Float[np.ndarray, "6"]:
        """The properties that a request asks for, as the vector of BEGIN.

        Raises:
            UserError: a property that the model does not know.
        """
        numbers = property_numbers(request.properties, self.model.config.properties)
        return value_vector(numbers, self.settings.guidance)

    def _plan(self, decoder: CachedDecoder, rows: list[tuple[CellRow, Counts]]) -> tuple[list[_Plan], dict[int, str]]:
        """The structure that each row follows, or a template written anew; by position, why there is neither."""
        plans: list[_Plan] = []
        refused: dict[int, str] = {}
        unguided: list[tuple[CellRow, Counts, Source]] = []
        allowed = [row.job.request.space_groups for row, _ in rows]
        for (row, cell), ranked in zip(rows, self.sources.ranked([cell for _, cell in rows], allowed), strict=True):
            if row.job.request.distinct:
                source = self._distinct_source(row, cell)
            else:
                source = self.sources.follow(row.job, ranked, self.cells.earlier_samples(row, cell))
            if source.neighbour < 0:
                try:
                    self._check_writable(row.job.request, cell)
                    unguided.append((row, cell, source))
                except UserError as error:
                    refused[row.position] = str(error)
                continue
            plans.append(self._following(row, source))
        templates = self._templates(decoder, unguided)
        for (row, cell, source), (template, score, merit) in zip(unguided, templates, strict=True):
            numbers, letters = np.array(template.numbers), np.array(template.letters)
            start = plain_start(template.space_group, numbers, letters, self.retriever.volume.predict(cell))
            plans.append(self._plan_from(row, source, score, merit, start))
        return plans, refused

    def _check_writable(self, request: CrystalRequest, cell: Counts) -> None:
        """See that a template of the cell can be written where no known structure is followed.

        Raises:
            UserError: more atoms of an element than there are symbols for, or too many orbits.
        """
        if request.template is not None:
            orbits = len(parse_template(request.template).letters)
            if orbits > MAX_ORBITS:
                raise UserError("too large a template", got=f"{orbits} orbits", wanted=f"at most {MAX_ORBITS}")
            return
        if max(cell.values()) > MAX_COUNT:
            raise UserError(
                f"no known structure is left to follow for {format_formula(cell)}, and a new template is too large",
                got=f"{max(cell.values())} atoms of one element",
                wanted=f"at most {MAX_COUNT}",
                next_step="give a --template, or --parents",
            )
        if sum(cell.values()) > MAX_ORBITS:
            WyckoffGrammar(cell, request.space_groups, MAX_ORBITS).check()

    def _distinct_source(self, row: CellRow, cell: Counts) -> Source:
        """The source of a sample whose space group should be another one than those of earlier samples."""
        cells = [other for other in self.cells.earlier_cells(row) if other is not None]
        followed: list[int] = []
        if self._parents is not None:
            groups = self._parents.retriever.table.space_group
            followed = groups[self.fitting_parents(row.job.request)].tolist()
        return self.distinct.follow(row.job, [*cells, cell], followed)

    def _likeliest_templates(
        self, cell: Counts, space_groups: frozenset[int], peaks: PeakList | None
    ) -> list[tuple[Template, float]]:
        """The likeliest templates of a cell, best first."""
        return self._search(CachedDecoder(self.model), cell, space_groups, _BEAM, peaks).found

    def _search(
        self,
        decoder: CachedDecoder,
        cell: Counts,
        space_groups: frozenset[int],
        wanted: int,
        peaks: PeakList | None,
    ) -> Search:
        """The likeliest templates of a cell, at least so many if there are; kept, since samples ask in turn."""
        key = _cell_and_groups(cell, space_groups, peaks)
        search = self._likeliest.get(key)
        if search is None or not (search.finished or len(search.found) >= wanted):
            # The first time no more than is needed. Who asks again gets all: no cell is searched more than twice.
            told = asked_peaks([peaks], self.most_peaks)
            search = search_templates(decoder, cell, space_groups, _BEAM, wanted if search is None else None, told)
            self._likeliest[key] = search
        return search

    def _following(self, row: CellRow, source: Source) -> _Plan:
        """The plan of a row that follows a known structure."""
        known = self._known(source)
        followed = known.table[int(source.shortlist.sources[source.neighbour])]
        correction = self.volumes.log_correction(
            known.table, source.shortlist, source.neighbour, exclude_formula=self.sources.exclude_formula
        )
        start = Start(_scaled(known.substitute(source.shortlist, source.neighbour), correction), followed.numbers)
        return self._plan_from(row, source, 0.0, 0.0, start)

    def _known(self, source: Source) -> Retriever:
        """What a source is one of."""
        return self._parents.retriever if self._parents is not None and source.parent else self.retriever

    def _plan_from(self, row: CellRow, source: Source, score: float, merit: float, start: Start) -> _Plan:
        """What is drawn from a start; score and merit are those of a template that was written."""
        sequence = plan_sequence(start)
        sequence.tokens.vectors[0] = self.property_vector(row.job.request)
        space_group = start.crystal.space_group
        return _Plan(row, source, source.log_probability + score, source.merit + merit, sequence, space_group)

    def _templates(
        self, decoder: CachedDecoder, rows: list[tuple[CellRow, Counts, Source]]
    ) -> list[tuple[Template, float, float]]:
        """A template for each row, its log probability, and what it adds to the merit of writing one.

        The one asked for, at no cost in probability; else the one of the source's rank among the likeliest of its cell;
        where there is no rank, or fewer templates than that, one is drawn. ``anew`` says how often the likeliest is
        right, so others count relative to it; where there is no rank, it is the draw that has a probability.
        """
        wanted: dict[_CellAndGroups, int] = {}
        asked: dict[_CellAndGroups, PeakList | None] = {}
        for row, cell, source in rows:
            if source.rank is not None and not row.job.request.template and source.template is None:
                # beyond the beam templates are drawn, but count relative to the likeliest all the same
                needed = source.rank + 1 if source.rank < _BEAM else 1
                key = _cell_and_groups(cell, row.job.request.space_groups, row.job.peaks)
                wanted[key], asked[key] = max(wanted.get(key, 0), needed), row.job.peaks
        # One by one, as sources are ranked: what is found must not depend on what was searched for before.
        found = {
            key: self._search(decoder, dict(key[0]), key[1], count, asked[key]).found for key, count in wanted.items()
        }
        templates: dict[int, tuple[Template, float]] = {}
        likeliest_score: dict[int, float] = {}
        for position, (row, cell, source) in enumerate(rows):
            request = row.job.request
            if source.template is not None:
                template, score, merit = source.template
                templates[position], likeliest_score[position] = (template, score), score - merit
            elif request.template:
                templates[position] = parse_template(request.template), 0.0
            elif source.rank is not None:
                ranked = found[_cell_and_groups(cell, request.space_groups, row.job.peaks)]
                likeliest_score[position] = ranked[0][1] if ranked else 0.0
                if source.rank < len(ranked):
                    templates[position] = ranked[source.rank]
        missing = [position for position in range(len(rows)) if position not in templates]
        if missing:
            uniforms = np.stack([_stream(rows[position][0], 1).random(_TEMPLATE_DRAWS) for position in missing])
            cells = [rows[position][1] for position in missing]
            groups = [rows[position][0].job.request.space_groups for position in missing]
            peaks = asked_peaks([rows[position][0].job.peaks for position in missing], self.most_peaks)
            drawn, scores = draw_templates(decoder, cells, groups, uniforms, self.settings.temperature, peaks)
            templates |= dict(zip(missing, zip(drawn, scores.tolist(), strict=True), strict=True))
        return [
            (template, score, min(0.0, score - likeliest_score.get(position, 0.0)))
            for position, (template, score) in sorted(templates.items())
        ]

    def _decode(self, decoder: CachedDecoder, plans: list[_Plan]) -> list[_Drawn]:
        """Free parameters of all plans.

        Plans that follow a neighbour and those that do not start from different noise, so they are drawn apart.
        """
        results: list[_Drawn] = []
        for follows in (True, False):
            # most slots first: see ``draw_parameters``
            part = sorted((plan for plan in plans if plan.follows == follows), key=lambda plan: -plan.n_sites)
            if part:
                results += self._draw_part(decoder, part)
        return results

    def _draw_part(self, decoder: CachedDecoder, plans: list[_Plan]) -> list[_Drawn]:
        """Drawn again where atoms come too close or what is asked for is not there; what is kept is scored."""
        batch = collate_wyckoff(
            [plan.sequence for plan in plans],
            [plan.source.neighbour for plan in plans],
            collate_shortlists([plan.source.shortlist for plan in plans]),
            asked_peaks([plan.row.job.peaks for plan in plans], self.most_peaks),
        ).to(next(self.model.parameters()).device)
        read = decoder.read_plans(batch)
        drawn, vectors, known = self._draw_parameters(decoder, read, plans, [0] * len(plans))
        unfit = [row for row, each in enumerate(drawn) if each.is_unfit(self.settings.min_distance)]
        trial = 1
        while unfit and trial <= self.settings.redraws:
            # several trials of few rows cost hardly more than one: a row is done with the first that is fit
            trials = range(trial, min(trial + max(1, _REDRAWN_TOGETHER // len(unfit)), self.settings.redraws + 1))
            rows = [row for row in unfit for _ in trials]
            again = read.pick(torch.tensor(rows, device=vectors.device))
            redrawn, other_vectors, other_known = self._draw_parameters(
                decoder, again, [plans[row] for row in rows], [*trials] * len(unfit)
            )
            left = set(unfit)
            for place, (row, each) in enumerate(zip(rows, redrawn, strict=True)):
                if row not in left:
                    continue
                if each.fitness > drawn[row].fitness:  # of equally fit ones the first draw stays
                    drawn[row], vectors[row], known[row] = each, other_vectors[place], other_known[place]
                if not each.is_unfit(self.settings.min_distance):
                    left.remove(row)
            unfit, trial = [row for row in unfit if row in left], trials.stop
        if not self.score_steps:
            return drawn
        complete = replace(batch, tokens=replace(batch.tokens, vectors=vectors))
        densities = slot_log_likelihoods(self.model, complete, self.score_steps, known)
        return [each.scored(density) for each, density in zip(drawn, densities.tolist(), strict=True)]

    def _draw_parameters(
        self, decoder: CachedDecoder, read: PlanReading, plans: list[_Plan], trials: list[int]
    ) -> tuple[list[_Drawn], torch.Tensor, torch.Tensor]:
        """What plans come to, each at one of its trials; their vectors, and what the model knew before each."""
        device = read.content.device
        lattice = np.zeros((len(plans), 6), dtype=np.float32)
        sites = np.zeros((len(plans), max(1, *(plan.n_sites for plan in plans)), 3), dtype=np.float32)
        for row, (plan, trial) in enumerate(zip(plans, trials, strict=True)):
            rng = _stream(plan.row, 2 + trial)
            lattice[row] = rng.standard_normal(6, dtype=np.float32)
            sites[row, : plan.n_sites] = rng.standard_normal((plan.n_sites, 3), dtype=np.float32)
        # What was drawn without noise, and came too close, would be the same once more: it is drawn again with noise.
        spread = self.settings.departure if plans[0].follows and not any(trials) else 1.0
        noise = Noise(torch.from_numpy(lattice).to(device) * spread, torch.from_numpy(sites).to(device) * spread)
        vectors, known = draw_parameters(decoder, read, [plan.space_group for plan in plans], noise, self.settings)
        rows = vectors.cpu().numpy()
        return [_Drawn(plan, self._candidate(plan, rows[row])) for row, plan in enumerate(plans)], vectors, known

    def _candidate(self, plan: _Plan, vectors: Float[np.ndarray, "tokens 6"]) -> Candidate:
        crystal = decode(with_vectors(plan.sequence, vectors))
        template = Template(plan.space_group, tuple(crystal.numbers.tolist()), tuple(crystal.letters.tolist()))
        try:
            structure = repeat_cell(crystal.to_crystal(), plan.source.copies)
        except UserError as error:
            return Candidate(None, reason=str(error))
        return Candidate(
            structure,
            score=plan.merit * _TEMPLATE_WEIGHT,
            source=self._provenance(plan, vectors),
            template=str(template),
        )

    def _provenance(self, plan: _Plan, vectors: Float[np.ndarray, "tokens 6"]) -> dict[str, str | int | float]:
        """Which known structure was followed, how likely that was, and how far the crystal departed from it."""
        source = plan.source
        log_probability = round(plan.merit, 4)
        if not plan.follows:
            probability = round(float(np.exp(source.log_probability)), 4)
            return {"id": "none", "probability": probability, "log_probability": log_probability}
        index = int(source.shortlist.sources[source.neighbour])
        channel = plan.sequence.tokens.channel
        displacement = vectors[: len(channel)] - plan.sequence.start
        shift = displacement[channel == Channel.FRACTIONAL, :3]
        shift = shift - np.round(shift)
        more: dict[str, str | int | float] = {"copies": source.copies} if source.copies > 1 else {}
        if self.parents is not None and source.parent:
            more["parent"] = self.parents.names[index].file
        table = self._known(source).table
        return more | {
            "id": str(table.ids[index]),
            "formula": format_formula(reduce_counts(table.counts(index))[0]),
            "distance": round(float(source.shortlist.distance[source.neighbour]), 4),
            "probability": round(float(np.exp(plan.log_probability)), 4),
            "log_probability": log_probability,
            "cell_change": round(float(np.abs(displacement[channel == Channel.LATTICE, :3]).max()), 4),
            "site_shift": round(float(np.abs(shift).max(initial=0.0)), 4),
        }


def _cell_and_groups(cell: Counts, space_groups: frozenset[int], peaks: PeakList | None) -> _CellAndGroups:
    return tuple(sorted(cell.items())), space_groups, key_of(peaks)


def _scaled(crystal: SymmetricCrystal, log_volume: float) -> SymmetricCrystal:
    """The crystal with its volume multiplied."""
    lattice = crystal.lattice.copy()
    lattice[:3] *= np.exp(log_volume / 3)
    return replace(crystal, lattice=lattice)


def _stream(row: CellRow, stream: int) -> np.random.Generator:
    """The job's own random numbers, one stream for templates (1) and one a trial for noise (2, 3, ...).

    Streams are counted from 1000, where no trial of a composition (``cell_choice``) ever gets.
    """
    job = row.job
    return np.random.default_rng([job.seed, job.request_index, job.index, UNUSED, 1000 + stream])


def wyckoff_generator(opened: OpenedModel) -> WyckoffGenerator:
    """A generator of a trained model over the dataset that is asked for, or the table beside the weights.

    Raises:
        UserError: no dataset is asked for, and there is no table.
    """
    parents = opened.parents
    retriever, checksum, elements = open_known(opened)
    return WyckoffGenerator(
        opened.network,
        retriever,
        opened.name,
        "+".join([opened.version, checksum, *([parents.version] if parents else [])]),
        opened.settings,
        opened.score_steps,
        exclude_formula=opened.exclude_formula,
        parents=parents,
        known=opened.known,
        # a model's own table holds what it was trained on; a dataset that is retrieved from may hold less
        elements=elements if opened.retrieve_from is None else None,
    )
