"""Whom to follow: the known structures that a composition may take, in the order in which samples follow them.

And which compositions may be taken: those that the space groups asked for can hold; de novo, new ones that are near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unigen.crystals.template import Template, parse_template
from unigen.models.cell_choice import Counts
from unigen.models.generator import Job
from unigen.models.wyckoff.batch import collate_shortlists
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.request import CrystalRequest
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.shapes import Float

_REACH = 0.02
"""Chemical distance at which a known structure's word on the size of the cell has lost a factor e."""

_THERMAL = 0.03
"""Energy above the hull, eV per atom, that costs as much."""

_UNSURE = 0.02
"""Energy above the hull of structures whose energy is not known."""

_LONG, _MANY = 256, 40
"""Neighbours, and different structures among them, that are looked at when the shortlist is used up."""

_NOTHING = -150.0
"""Log weight of a cell when nothing like it is known."""


@dataclass(frozen=True, eq=False)
class Choices:
    """A cell's shortlist and how probable each of its kinds is.

    Attributes:
        shortlist: known neighbours of the cell, or of the largest part of it that has any.
        log_probability: of "none of them" and then of each kind, in nats.
        copies: parts in the cell: 1 unless it is a supercell of what is known.
    """

    shortlist: Shortlist
    log_probability: Float[np.ndarray, "choices"]
    copies: int = 1


@dataclass(frozen=True, eq=False)
class Source:
    """What a sample starts from.

    Attributes:
        shortlist: known neighbours of its cell.
        neighbour: the one it follows, -1 for none.
        log_probability: of that choice, in nats.
        copies: of the crystal that follows it, in the wanted cell.
        rank: of a structure written anew: 0 for the likeliest template, 1 for the next; None: a template is drawn.
    """

    shortlist: Shortlist
    neighbour: int
    log_probability: float
    copies: int = 1
    rank: int | None = None


class SourceChooser:
    """Ranks known structures as a model would, once for every cell.

    Args:
        model: in evaluation mode.
        retriever: over the known structures.
        exclude_formula: use none of a cell's own reduced formula (for benchmarks).
        settings: how to choose: ``source_temperature``, ``anew``.
    """

    def __init__(
        self, model: WyckoffModel, retriever: Retriever, settings: WyckoffSettings, *, exclude_formula: bool
    ) -> None:
        self.model, self.retriever = model, retriever
        self.exclude_formula, self.temperature, self.anew = exclude_formula, settings.source_temperature, settings.anew
        self._known: dict[tuple[tuple[int, int], ...], Choices] = {}
        self._long: dict[tuple[tuple[int, int], ...], Shortlist] = {}

    @torch.no_grad()
    def choices(self, cells: list[Counts]) -> list[Choices]:
        """The ranked shortlist of every cell."""
        keys = [tuple(sorted(cell.items())) for cell in cells]
        new = [key for key in dict.fromkeys(keys) if key not in self._known]
        if new:
            parts = [self.retriever.part_shortlist(dict(key), exclude_formula=self.exclude_formula) for key in new]
            device = next(self.model.parameters()).device
            batch = collate_shortlists([shortlist for shortlist, _ in parts]).to(device)
            logits = self.model.reranker(batch).double().log_softmax(-1).cpu().numpy()
            for key, (shortlist, copies), row in zip(new, parts, logits, strict=True):
                self._known[key] = Choices(shortlist, row[: len(shortlist.heads) + 1], copies)
        return [self._known[key] for key in keys]

    def evidence(self, request: CrystalRequest, cells: list[Counts]) -> Float[np.ndarray, "cells"]:
        """What known structures say of the size of the cell: log weights, the largest among those that fit the request.

        ``- distance / _REACH - energy above the hull / _THERMAL``: a formula whose structure is known should be given
        the cell of that structure, the most stable one if there are several.
        """
        weights = np.full(len(cells), _NOTHING)
        for place, choices in enumerate(self.choices(cells)):
            listed = choices.shortlist
            fits = np.array(self._fits(request, listed, choices.copies), dtype=bool)
            if fits.any() and choices.copies == 1:
                energy = np.nan_to_num(listed.facts[:, 1], nan=_UNSURE).clip(min=0.0)
                merit = -listed.distance / _REACH - energy / _THERMAL
                weights[place] = merit[fits[listed.kind]].max()
        return weights

    def follow(self, job: Job, choices: Choices, turn: int) -> Source:
        """What a job follows.

        Where a formula is asked for, sample after sample of a cell follows another kind of structure: those on the
        shortlist as the model ranks them, then farther ones by their distance; when all that fit the request have
        been followed, or none fits, structures are written anew, the likeliest template first. De novo, where every
        sample has its own composition, kinds and templates are drawn as probable as the model holds them.

        Args:
            job: for whom.
            choices: of its cell.
            turn: how many samples of the request had this cell before.
        """
        allowed = np.flatnonzero([True, *self._fits(job.request, choices.shortlist, choices.copies)])
        logits = choices.log_probability[allowed]
        logits = logits - np.logaddexp.reduce(logits)
        merit = logits + np.where(allowed == 0, np.log(max(self.anew, 1e-12)), 0.0)
        open_formula = job.request.formula is None
        temperature = self.temperature or float(open_formula)
        if temperature > 0:
            rng = np.random.default_rng([job.seed, job.request_index, len(allowed), open_formula * (job.index + 1)])
            merit = merit / temperature + rng.gumbel(size=len(merit))
        order = np.argsort(-merit, kind="stable")
        turn = 0 if open_formula else turn
        turn += job.candidate
        if turn >= len(order):
            return self._farther(job.request, choices, turn - len(order), float(logits[0]))
        kind, log_probability = int(allowed[order[turn]]) - 1, float(logits[order[turn]])
        if kind < 0:
            return Source(choices.shortlist, -1, log_probability, rank=None if open_formula else 0)
        return Source(choices.shortlist, int(choices.shortlist.heads[kind]), log_probability, choices.copies)

    def _farther(self, request: CrystalRequest, choices: Choices, turn: int, log_probability: float) -> Source:
        """The known structures behind the shortlist, then new ones: all part of the probability of "none of them"."""
        counts = dict(zip(choices.shortlist.elements.tolist(), choices.shortlist.counts.tolist(), strict=True))
        key = tuple(sorted(counts.items()))
        if key not in self._long:
            self._long[key] = self.retriever.shortlist(
                counts, exclude_formula=self.exclude_formula, neighbours=_LONG, most_kinds=_MANY
            )
        known, ranked = self._long[key], len(choices.shortlist.heads)
        fits = np.flatnonzero(self._fits(request, known, choices.copies))
        fits = fits[fits >= ranked]
        if turn < len(fits):
            return Source(known, int(known.heads[fits[turn]]), log_probability, choices.copies)
        return Source(choices.shortlist, -1, log_probability, rank=turn - len(fits) + 1)  # one came before these

    def _fits(self, request: CrystalRequest, shortlist: Shortlist, copies: int) -> list[bool]:
        """Which kinds have a space group (or the template) that the request allows; supercells are none de novo."""
        heads = shortlist.heads.tolist()
        if copies > 1 and request.formula is None:
            return [False] * len(heads)
        if request.template is not None:
            wanted = parse_template(request.template)
            return [self._template(shortlist, head) == wanted for head in heads]
        groups = self.retriever.table.space_group[shortlist.sources[heads]]
        return [int(group) in request.space_groups for group in groups]

    def _template(self, shortlist: Shortlist, head: int) -> Template:
        crystal = self.retriever.substitute(shortlist, head)
        return Template(crystal.space_group, tuple(crystal.numbers.tolist()), tuple(crystal.letters.tolist()))


@dataclass(frozen=True, eq=False)
class Admission:
    """Admits cells.

    Attributes:
        retriever: over the known structures.
        within: de novo only unknown formulas, at most so far (chemical distance) from a known cell of as many atoms;
            None: any formula.
    """

    retriever: Retriever
    within: float | None

    def admits(self, request: CrystalRequest, cell: Counts) -> bool:
        """Whether a request takes a cell."""
        if not holds(request, cell):
            return False
        if self.within is None or request.formula is not None:
            return True
        if self.retriever.compositions.knows_formula(cell):
            return False
        return self.retriever.index.nearest_distance(cell) <= self.within  # NaN is not


def holds(request: CrystalRequest, cell: Counts) -> bool:
    """Whether some space group that the request allows can hold the cell."""
    if request.space_group is None and request.crystal_system is None:
        return True  # P1 holds everything
    return bool(WyckoffGrammar(cell, request.space_groups).legal_space_groups().any())
