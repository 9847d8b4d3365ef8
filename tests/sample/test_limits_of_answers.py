"""What a ranker moves out of a request's limits is no answer, and says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.models.test_parents import SALT
from unigen.crystals.crystal import Crystal
from unigen.models.generator import Sample
from unigen.parallel import Workers
from unigen.ranking.ranker import Rating
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.rank import rank_candidates

VOLUME = SALT.volume / 2


class Expanding:
    """Makes every candidate larger, the last one most, and likes those best."""

    name, quantity, unit, lower_is_better, trained_on = "expanding", "size", "", False, "nothing"

    def facts(self) -> dict[str, object]:
        return {}

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        pass

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        del workers, folder
        return [[self._rating(place, sample) for place, sample in enumerate(group)] for group in groups]

    def _rating(self, place: int, sample: Sample) -> Rating:
        found = sample.structure
        larger = Crystal(found.numbers, found.frac_coords, found.lattice * (1 + 0.1 * place))
        return Rating(merit=float(place), value=float(place), structure=larger)


def samples(request: CrystalRequest) -> list[Sample]:
    simple = Crystal(SALT.numbers, SALT.frac_coords, SALT.volume ** (1 / 3) * np.eye(3))  # as caesium chloride
    return [
        Sample(structure, request, 0, index, 0, "made", None, 0.0) for index, structure in enumerate([SALT, simple])
    ]


def test_what_is_moved_out_of_the_limits_is_no_answer():
    free = CrystalRequest(formula="KBr")
    with Workers(1) as pool:
        _, (choice,) = rank_candidates([samples(free)], Expanding(), 2, pool)
        assert [answer.ranking["candidate"] for answer in choice.answers] == [1, 0]
        limited = replace(free, volume_per_atom=(None, VOLUME * 1.2))
        (rated,), (choice,) = rank_candidates([samples(limited)], Expanding(), 2, pool)
    assert rated[1].reason.startswith("once moved by the ranker: volume_per_atom ")
    assert choice.answers[0].ranking["candidate"] == 0
    assert choice.answers[1].structure is None
    assert "once moved by the ranker" in choice.answers[1].reason
