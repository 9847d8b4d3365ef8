"""From ratings to answers: the best distinct candidates of a request, and what became of every other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from unigen.models.generator import Sample
from unigen.ranking.distinct import Distinct, distinct_structures
from unigen.ranking.ranker import Ranker, Rating


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen for one request.

    Attributes:
        answers: as many as were wanted, the best first; where there are not so many distinct ones the last have no
            structure but a reason.
        order: places of all candidates, the best first.
        rank: by the place of a candidate, of those that are answers, from 1.
        same_as: by the place of a candidate, the rank of the answer that it is like.
    """

    answers: tuple[Sample, ...]
    order: tuple[int, ...]
    rank: dict[int, int]
    same_as: dict[int, int]


def choose(samples: Sequence[Sample], ratings: Sequence[Rating], ranker: Ranker, n: int) -> Choice:
    """The best ``n`` distinct candidates of one request.

    Candidates that could not be rated stand behind all others, in the order they were drawn: an answer that is not
    rated is better than none, and says why it is not.

    Args:
        samples: all candidates of the request, failed ones too.
        ratings: of each.
        ranker: whose they are.
        n: answers wanted.
    """
    # of equal merit the one drawn first
    order = sorted(range(len(samples)), key=lambda place: -ratings[place].merit)
    made = [place for place in order if ratings[place].structure is not None]
    if getattr(samples[0].request, "smiles", None):  # conformers of one molecule, wanted for what they differ in
        found = Distinct(tuple(range(len(made)))[:n], {})
    else:
        found = distinct_structures([s for place in made if (s := ratings[place].structure) is not None], n)
    rank = {made[kept]: number for number, kept in enumerate(found.kept, start=1)}
    answers = [_answer(samples[place], ratings[place], ranker, number) for place, number in rank.items()]
    failed = [place for place, rating in enumerate(ratings) if rating.structure is None]
    reason = f"only {len(answers)} distinct structures among {len(samples)} candidates"
    if failed:
        reason += f", of which {len(failed)} failed: {samples[failed[0]].reason or ratings[failed[0]].reason}"
    answers += [
        replace(samples[0], structure=None, index=index, reason=reason, source={}, template="", ranking={})
        for index in range(len(answers), n)
    ]
    same_as = {made[place]: rank[made[like]] for place, like in found.same_as.items()}
    return Choice(tuple(answers), tuple(order), rank, same_as)


def _answer(sample: Sample, rating: Rating, ranker: Ranker, rank: int) -> Sample:
    facts: dict[str, str | int | float] = {"rank": rank, "candidate": sample.index, "by": ranker.name}
    if rating.value is not None:
        facts[ranker.quantity] = rating.value
    facts |= rating.facts
    facts |= {"ranking_note": rating.reason} if rating.reason else {}
    return replace(sample, structure=rating.structure, index=rank - 1, ranking=facts)
