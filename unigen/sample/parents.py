"""Which of a user's own structures the samples of some requests follow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from unigen.models.generator import FollowsParents, Generator
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.retrieval.parents import unfit_remarks


def fitted_parents(generator: FollowsParents, requests: Sequence[CrystalRequest | MoleculeRequest]) -> Counter[int]:
    """How many requests each parent fits."""
    crystals = [request for request in requests if isinstance(request, CrystalRequest)]
    return Counter(place for request in crystals for place in {*generator.fitting_parents(request)})


def parent_remarks(generator: Generator, requests: Sequence[CrystalRequest | MoleculeRequest]) -> list[str]:
    """A line a parent that nothing follows: it could not be read, or fits none of the requests."""
    if not isinstance(generator, FollowsParents) or generator.parents is None:
        return []
    return unfit_remarks(generator.parents, fitted_parents(generator, requests), len(requests))
