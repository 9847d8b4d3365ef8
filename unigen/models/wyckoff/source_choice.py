"""The source structures of a composition: known ones that it may take, in the order in which samples follow them.

And which compositions may be taken: those that the space groups asked for can hold; de novo, new ones that are near.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from unigen.bounded_cache import BoundedCache
from unigen.crystals.template import Template, parse_template
from unigen.elements import SPACE_GROUPS
from unigen.models.cell_choice import Counts
from unigen.models.generator import Job
from unigen.models.wyckoff.batch import collate_shortlists
from unigen.models.wyckoff.cached_decoder import CachedDecoder
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.network import WyckoffModel
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.models.wyckoff.templates import space_group_log_probabilities
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Formula, reduced_formula
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.retrieval.table import MAX_ATOMS
from unigen.shapes import Float

_DISTANCE_SCALE = 0.02
"""Chemical distance at which what a known structure says of the size of the cell has lost a factor e. It is short:
barium for strontium in SrTiO3 is a distance of 0.47 / 5 = 0.09, and says a hundredth of what SrTiO3 itself does."""

_ENERGY_SCALE = 0.03
"""Energy above the hull, eV per atom, that costs as much: about kT at room temperature (0.026)."""

_UNKNOWN_ENERGY = 0.02
"""Energy above the hull, eV per atom, of structures whose energy is not known: less than ``_ENERGY_SCALE``, so that not
being known costs little."""

_LONG_NEIGHBOURS, _LONG_KINDS = 256, 40
"""Neighbours, and different structures among them, that are looked at when the shortlist is used up: a bound on one
search; samples beyond get templates written anew."""

_NOTHING_KNOWN = -150.0
"""Log weight of a cell when nothing like it is known: that of a source at chemical distance 3, which is the median over
all pairs of elements. Any real relative is nearer."""

_AS_LIKELY, _LARGER_THAN_ALIKE = 0.1, 5.0
"""Nats: 3 meV per atom, which energies do not tell apart, and what a larger cell has less than a smaller one that is as
likely: there are a hundred stacks of CdI2's layers within 2 meV in the bundled table, and one is meant."""

_SAME_COMPOSITION = 1e-6
"""Chemical distance below which a known structure is one of the formula itself."""

_REMEMBERED = 4096
"""Cells whose shortlist is kept, 5 KB each, 20 MB: more than the samples of a batch and the sizes they choose from; de
novo, where hardly a cell comes twice, keeping all of them would grow by gigabytes a day."""

_LONG_REMEMBERED = 256
"""The same of long lists, 50 KB each: only formulas with hundreds of samples have one."""

_SMALLEST_WEIGHT, _LARGEST_WEIGHT = 1e-12, 1e12
"""In place of ``anew`` = 0, whose logarithm is minus infinity: still the last choice, but one that can be ranked. And
of infinity in what is written of a sample, where every number is finite."""


_CellAndGroups = tuple[tuple[tuple[int, int], ...], frozenset[int]]
"""A cell, as pairs of atomic number and count, and the space groups that are allowed."""


@dataclass(frozen=True, eq=False)
class RankedShortlist:
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
        log_probability: of that choice, in nats, as the model holds it.
        merit: what samples are ordered by: the same, but the weight ``anew`` counts, and what comes when the shortlist
            is used up has less than all that came before.
        copies: of the crystal that follows it, in the wanted cell.
        rank: of a structure written anew: 0 for the likeliest template, 1 for the next; None: a template is drawn.
        parent: whether the neighbour is one of the user's own structures, not of the table.
        template: what is written, its log probability and what it adds to the merit, where that is chosen already.
    """

    shortlist: Shortlist
    neighbour: int
    log_probability: float
    merit: float
    copies: int = 1
    rank: int | None = None
    parent: bool = False
    template: tuple[Template, float, float] | None = None


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
        self.exclude_formula = exclude_formula
        self.temperature, self.new_template_weight = settings.source_temperature, settings.anew
        self._ranked = BoundedCache[_CellAndGroups, RankedShortlist](_REMEMBERED)
        self._long_lists = BoundedCache[_CellAndGroups, Shortlist](_LONG_REMEMBERED)

    def forget(self) -> None:
        """Forget the shortlists that are kept, as a measurement must that is not to find its answer in them."""
        self._ranked.clear()
        self._long_lists.clear()

    @torch.no_grad()
    def ranked(self, cells: list[Counts], space_groups: list[frozenset[int]] | None = None) -> list[RankedShortlist]:
        """The ranked shortlist of every cell.

        Args:
            cells: atoms of each by atomic number.
            space_groups: those that the known structures of each may have; None: any.
        """
        allowed = [SPACE_GROUPS] * len(cells) if space_groups is None else space_groups
        keys = [(tuple(sorted(cell.items())), groups) for cell, groups in zip(cells, allowed, strict=True)]
        new = [key for key in dict.fromkeys(keys) if key not in self._ranked]
        device = next(self.model.parameters()).device
        tables = self.model.reranker.element_tables() if new else None
        made: dict[_CellAndGroups, RankedShortlist] = {}
        for key in new:
            shortlist, copies = self.retriever.part_shortlist(
                dict(key[0]), exclude_formula=self.exclude_formula, space_groups=key[1]
            )
            # one by one: the last digits of a batch depend on its other rows, here on what was asked for before, and
            # a run that goes on must follow the sources that an uninterrupted one does
            batch = collate_shortlists([shortlist]).to(device)
            logits = self.model.reranker(batch, tables)[0].double().log_softmax(-1)
            made[key] = RankedShortlist(shortlist, _by_energy(shortlist, logits.cpu().numpy()), copies)
        found = self._ranked.get_all(keys, made.items())
        return [found[key] for key in keys]

    def larger_cells(self, request: CrystalRequest, reduced: Counts) -> list[Counts]:
        """Cells of a formula that are larger than those the model was trained on and that known structures resemble.

        Args:
            request: whose space groups they must have.
            reduced: one formula unit.
        """
        per_unit = sum(reduced.values())
        units = range(self.model.config.max_atoms // per_unit + 1, MAX_ATOMS // per_unit + 1)
        cells = [{number: count * z for number, count in reduced.items()} for z in units]
        known = [cell for cell in cells if self.retriever.index.knows_counts(cell)]
        return [
            cell
            for cell, ranked in zip(known, self.ranked(known, [request.space_groups] * len(known)), strict=True)
            # without copies: with the formula itself left out, a half of the cell may be all that is known
            if ranked.copies == 1 and any(self._fits(request, ranked.shortlist, ranked.copies))
        ]

    def size_evidence(self, request: CrystalRequest, cells: list[Counts]) -> Float[np.ndarray, "cells"]:
        """What known structures say of the size of the cell: log weights, the largest among those that fit the request.

        ``- distance / 0.02 - energy above the hull / 0.03 eV``: a formula whose structure is known should be given
        the cell of that structure, the most stable one if there are several.
        Of sizes that this does not tell apart (polytypes) the smallest is meant. Where nothing that fits is known in
        any size: how likely the model holds the space groups asked for.

        Args:
            request: whose space groups they must have.
            cells: of one formula, the smallest first.
        """
        weights = np.full(len(cells), _NOTHING_KNOWN)
        for position, ranked in enumerate(self.ranked(cells, [request.space_groups] * len(cells))):
            shortlist = ranked.shortlist
            fits = np.array(self._fits(request, shortlist, ranked.copies), dtype=bool)
            if fits.any() and ranked.copies == 1:
                energy = np.nan_to_num(shortlist.facts[:, 1], nan=_UNKNOWN_ENERGY).clip(min=0.0)
                merit = -shortlist.distance / _DISTANCE_SCALE - energy / _ENERGY_SCALE
                weights[position] = merit[fits[shortlist.kind]].max()
        known = weights > _NOTHING_KNOWN
        lowest_so_far = np.maximum.accumulate(np.where(known, weights, -np.inf))
        alike = known[1:] & (lowest_so_far[:-1] >= weights[1:] - _AS_LIKELY)
        weights[1:] -= alike * _LARGER_THAN_ALIKE
        if request.asks_symmetry and (weights == _NOTHING_KNOWN).all():
            # a size is as likely as what is asked for is in it: perovskites of Pm-3m have one formula unit, not four
            weights += space_group_log_probabilities(CachedDecoder(self.model), cells, request.space_groups)
        return weights

    def follow(self, job: Job, ranked: RankedShortlist, earlier_samples: int) -> Source:
        """The source structure of a job.

        Where a formula is asked for, sample after sample of a cell follows another kind of structure: those on the
        shortlist as the model ranks them, then farther ones by their distance; when all that fit the request have
        been followed, or none fits, structures are written anew, the likeliest template first. De novo, where every
        sample has its own composition, kinds and templates are drawn as probable as the model holds them.

        Args:
            job: what is to be drawn.
            ranked: the shortlist of its cell.
            earlier_samples: how many samples of the request had this cell before.
        """
        allowed = np.flatnonzero([True, *self._fits(job.request, ranked.shortlist, ranked.copies)])
        logits = ranked.log_probability[allowed]
        logits = logits - np.logaddexp.reduce(logits)
        # of cells larger than any it was trained on the model writes a structure anew when all on the list are followed
        trained = int(ranked.shortlist.counts.sum()) * ranked.copies <= self.model.config.max_atoms
        anew = max(self.new_template_weight if trained else 0.0, _SMALLEST_WEIGHT)
        merit = logits + np.where(allowed == 0, np.log(anew), 0.0)
        finite = np.minimum(merit, logits + np.log(_LARGEST_WEIGHT))
        open_formula = job.request.formula is None
        temperature = self.temperature or float(open_formula)
        if temperature > 0:
            rng = np.random.default_rng([job.seed, job.request_index, len(allowed), open_formula * (job.index + 1)])
            # Gumbel-top-k (Kool et al. 2019): the order of perturbed logits is a draw without replacement
            merit = merit / temperature + rng.gumbel(size=len(merit))
        order = np.argsort(-merit, kind="stable")
        shortlist = ranked.shortlist
        rank = 0 if open_formula else earlier_samples
        if rank >= len(order):
            place = rank - len(order)
            # of a descending row of probabilities the n-th is no more than an n-th of all of them together
            lower = float(finite.min() - np.log(place + 2))
            return self._farther(job.request, ranked, place, float(logits[0]), lower)
        chosen = int(order[rank])
        kind, log_probability, own = int(allowed[chosen]) - 1, float(logits[chosen]), float(finite[chosen])
        if kind < 0:
            return Source(shortlist, -1, log_probability, own, rank=None if open_formula else 0)
        return Source(shortlist, int(shortlist.representatives[kind]), log_probability, own, ranked.copies)

    def _farther(
        self, request: CrystalRequest, ranked: RankedShortlist, rank: int, log_probability: float, merit: float
    ) -> Source:
        """The known structures behind the shortlist, then new ones: all part of the probability of "none of them"."""
        counts = dict(zip(ranked.shortlist.elements.tolist(), ranked.shortlist.counts.tolist(), strict=True))
        key = tuple(sorted(counts.items())), request.space_groups
        long_list = self._long_lists.get(key)
        if long_list is None:
            long_list = self._long_lists[key] = self.retriever.shortlist(
                counts,
                exclude_formula=self.exclude_formula,
                neighbours=_LONG_NEIGHBOURS,
                most_kinds=_LONG_KINDS,
                space_groups=request.space_groups,
            )
        fits = np.flatnonzero(self._fits(request, long_list, ranked.copies))
        fits = fits[fits >= len(ranked.shortlist.representatives)]  # the long list begins with the short one
        if rank < len(fits):
            neighbour = int(long_list.representatives[fits[rank]])
            return Source(long_list, neighbour, log_probability, merit, ranked.copies)
        # rank 0 came before these
        return Source(ranked.shortlist, -1, log_probability, merit, rank=rank - len(fits) + 1)

    def _fits(self, request: CrystalRequest, shortlist: Shortlist, copies: int) -> list[bool]:
        """Which kinds have a space group (or the template) that the request allows; supercells are none de novo."""
        if copies > 1 and request.formula is None:
            return [False] * len(shortlist.representatives)
        return fitting_kinds(self.retriever, request, shortlist)


def _by_energy(shortlist: Shortlist, log_probability: Float[np.ndarray, "choices"]) -> Float[np.ndarray, "choices"]:
    """The probabilities of kinds, those of the formula's own structures weighed by their energy.

    What chooses among relatives was never shown a structure of the formula itself; of these the stable one is meant.
    """
    own = shortlist.distance[shortlist.representatives] < _SAME_COMPOSITION
    if own.sum() < 2:
        return log_probability
    energy = np.nan_to_num(shortlist.facts[shortlist.representatives[own], 1], nan=_UNKNOWN_ENERGY).clip(min=0.0)
    weighed = log_probability.copy()
    weighed[1 + np.flatnonzero(own)] -= (energy - energy.min()) / _ENERGY_SCALE
    return weighed - np.logaddexp.reduce(weighed)


def fitting_kinds(retriever: Retriever, request: CrystalRequest, shortlist: Shortlist) -> list[bool]:
    """Which kinds of a shortlist have a space group (or the template) that the request allows."""
    representatives = shortlist.representatives.tolist()
    if request.template is None:
        groups = retriever.table.space_group[shortlist.sources[representatives]]
        return [int(group) in request.space_groups for group in groups]
    wanted = parse_template(request.template)
    fits = []
    for neighbour in representatives:
        crystal = retriever.substitute(shortlist, neighbour)
        numbers, letters = tuple(crystal.numbers.tolist()), tuple(crystal.letters.tolist())
        fits.append(Template(crystal.space_group, numbers, letters) == wanted)
    return fits


@dataclass(frozen=True, eq=False)
class CellFilter:
    """Which cells a request accepts.

    Attributes:
        retriever: over the known structures.
        within: de novo only unknown formulas, at most so far (chemical distance) from a known cell of as many atoms;
            None: any formula.
        known: formulas that count as known besides, none of which is drawn de novo; None: known ones may be drawn.
    """

    retriever: Retriever
    within: float | None
    known: frozenset[Formula] | None = None

    def accepts(self, request: CrystalRequest, cell: Counts) -> bool:
        """Whether this cell may be drawn for this request."""
        if not some_space_group_holds(request, cell):
            return False
        if request.formula is not None or (self.within is None and self.known is None):
            return True
        if self.retriever.compositions.knows_formula(cell) or reduced_formula(cell) in (self.known or ()):
            return False
        if self.within is None:
            return True
        return self.retriever.index.nearest_distance(cell) <= self.within  # no such cell known: NaN, which is not


def some_space_group_holds(request: CrystalRequest, cell: Counts) -> bool:
    """Whether some space group that the request allows can hold the cell."""
    if request.space_group is None and request.crystal_system is None:
        return True  # P1 holds everything
    return bool(WyckoffGrammar(cell, request.space_groups).legal_space_groups().any())
