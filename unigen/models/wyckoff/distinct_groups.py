"""Sources of different space groups before any comes twice: the samples of a request that asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from unigen.bounded_cache import BoundedCache
from unigen.crystals.powder.peaks import PeakList, key_of
from unigen.crystals.template import Template
from unigen.models.cell_choice import Counts
from unigen.models.generator import Job
from unigen.models.wyckoff.grammar import WyckoffGrammar
from unigen.models.wyckoff.source_choice import RankedShortlist, Source, SourceChooser
from unigen.request import CrystalRequest

_REMEMBERED = 1024
"""Requests whose chosen sources are kept, a few hundred bytes a sample."""

LikeliestTemplates = Callable[[Counts, frozenset[int], PeakList | None], list[tuple[Template, float]]]
"""Of a cell, in these space groups, with the peaks asked for, the likeliest first, with their log probabilities."""


@dataclass(frozen=True)
class _Chosen:
    """What a sample starts from.

    Attributes:
        source: the known structure, or the template that is written.
        group: its space group; None where a template is drawn.
        key: tells it from the others.
    """

    source: Source
    group: int | None
    key: tuple[object, ...]


class DistinctGroups:
    """Chooses sources one sample after the other, each of a space group that as few as possible had before.

    Among those the known structures come in the order in which they are followed anyway, then the likeliest template in
    one of the groups that are left and can hold the cell.

    Args:
        chooser: of sources.
        likeliest: the templates that may be written.
    """

    def __init__(self, chooser: SourceChooser, likeliest: LikeliestTemplates) -> None:
        self.chooser, self.likeliest = chooser, likeliest
        self._chosen = BoundedCache[tuple[CrystalRequest, int, int, bytes], list[_Chosen]](_REMEMBERED)

    def follow(self, job: Job, cells: list[Counts], followed: list[int]) -> Source:
        """The source of a job.

        Args:
            job: of a request with a formula; no candidate but the first.
            cells: of the samples of its request up to this one.
            followed: space groups of what the request follows before these samples.
        """
        key = job.request, job.request_index, job.seed, key_of(job.peaks)
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = []
        # computed, not remembered from earlier draws: a run that is resumed gets the same answer
        for cell in cells[len(chosen) :]:
            used = Counter(followed) + Counter(each.group for each in chosen if each.group is not None)
            taken = {each.key for each in chosen}
            chosen.append(self._next(replace(job, index=0), cell, used, taken))
        return chosen[len(cells) - 1].source

    def _next(self, job: Job, cell: Counts, used: Counter[int], taken: set[tuple[object, ...]]) -> _Chosen:
        (ranked,) = self.chooser.ranked([cell], [job.request.space_groups])
        atoms = tuple(sorted(cell.items()))
        *known, new = self._in_order(job, ranked)
        groups = self.chooser.retriever.table.space_group
        left: list[tuple[int, _Chosen]] = []
        for source in known:
            place = int(source.shortlist.sources[source.neighbour])
            if (atoms, place) not in taken:
                left.append((int(groups[place]), _Chosen(source, int(groups[place]), (atoms, place))))
        allowed = job.request.space_groups
        legal = np.flatnonzero(WyckoffGrammar(cell, allowed).legal_space_groups()).tolist()
        for times in range(max(used.values(), default=0) + 1):
            for group, each in left:
                if used[group] == times:
                    return each
            open_groups = frozenset(group for group in legal if used[group] == times)
            for template, score in self.likeliest(cell, open_groups, job.peaks) if open_groups else []:
                if (atoms, template) not in taken:
                    best = self.likeliest(cell, allowed, job.peaks)[0][1]
                    written = replace(new, rank=None, template=(template, score, min(0.0, score - best)))
                    return _Chosen(written, template.space_group, (atoms, template))
        return _Chosen(replace(new, rank=None), None, (atoms, len(taken)))

    def _in_order(self, job: Job, ranked: RankedShortlist) -> Iterator[Source]:
        """All known structures in the order in which samples follow them, then what is written anew first."""
        new: Source | None = None
        rank = 0
        while True:
            source = self.chooser.follow(job, ranked, rank)
            rank += 1
            if source.neighbour >= 0:
                yield source
            elif new is None:
                new = source  # it stands among them, and more known ones may come behind
            else:
                yield new
                return
