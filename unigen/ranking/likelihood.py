"""The likeliest candidate by the generator itself: nothing is computed, and nothing else is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.ranker import Rating, unrated
from unigen.request import CrystalRequest, MoleculeRequest


class LikelihoodRanker:
    """Ranks by the score that the generator gives its samples, which between two requests says nothing; see Ranker.

    A score has no unit: a model of crystals weighs log probabilities in it, and ``nearest`` has a chemical distance.

    Args:
        model: name of the generator.
    """

    name = "likelihood"
    quantity, unit = "score", ""
    lower_is_better = False

    def __init__(self, model: str) -> None:
        self.trained_on = f"what {model} was trained on, which ranks what it has drawn itself"

    def facts(self) -> dict[str, object]:
        """See Ranker."""
        return {}

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        """See Ranker.

        Raises:
            UserError: molecules, whose generator has no likelihood.
        """
        if any(isinstance(request, MoleculeRequest) for request in requests):
            raise UserError(
                "molecules cannot be ranked by likelihood: their generator computes none",
                next_step="rank them by property",
            )

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        """See Ranker; the value is the score, the exact log-likelihood a fact beside it.

        Raises:
            UserError: see `check`.
        """
        del workers, folder
        self.check([sample.request for group in groups for sample in group])
        return [[_rating(sample) for sample in group] for group in groups]


def _rating(sample: Sample) -> Rating:
    if sample.structure is None:
        return unrated(sample, sample.reason or "not made")
    facts = {} if sample.log_likelihood is None else {"log_likelihood": sample.log_likelihood}
    return Rating(merit=sample.score, value=sample.score, structure=sample.structure, facts=facts)
