"""Candidates to answers: the ranker that was asked for, opened, and put to the candidates of many requests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from unigen.energies.hull.hull import Hull
from unigen.energies.potential import find_potential
from unigen.energies.relaxation import RelaxSettings
from unigen.errors import UserError
from unigen.models.generator import Generator, Sample
from unigen.parallel import Workers
from unigen.ranking.choice import Choice, choose
from unigen.ranking.energy import EnergyRanker
from unigen.ranking.likelihood import LikelihoodRanker
from unigen.ranking.pattern import PatternRanker
from unigen.ranking.ranker import Ranker, Rating
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.predict import property_ranker

POTENTIAL = "chgnet"
"""Unless another is named."""


def open_ranker(
    settings: RankSettings,
    generator: Generator,
    requests: Sequence[CrystalRequest | MoleculeRequest],
    folder: Path | None = None,
    device: str = "cpu",
) -> Ranker:
    """The ranker of these settings; all that is wrong with it is said here, before anything is drawn.

    Args:
        settings: which, and how.
        generator: of the candidates.
        requests: what they are candidates for.
        folder: where what is slow is kept, so that an interrupted run goes on; None keeps it in memory.
        device: of potentials.

    Raises:
        UserError: no such potential, hull or predictor; requests that cannot be ranked in this way.
    """
    if settings.by == "property":
        return property_ranker(generator, requests, settings.predictor)
    if generator.makes == "molecules":
        raise UserError(
            f"molecules are not ranked by {settings.by}", wanted="property", next_step="ask for one, such as gap=0.25"
        )
    if settings.by == "likelihood":
        return LikelihoodRanker(generator.name)
    if settings.by == "pxrd":
        return PatternRanker()
    potential = find_potential(settings.potential or POTENTIAL, settings.energy_scheme, device)
    return EnergyRanker(
        potential,
        folder=folder,
        relax=settings.relax,
        settings=RelaxSettings(fix_symmetry=settings.fix_symmetry),
        pressures=settings.pressures,
        hull=Hull.open(settings.hull, potential) if settings.hull else None,
    )


def rank_candidates(
    groups: Sequence[Sequence[Sample]], ranker: Ranker, n: int, workers: Workers
) -> tuple[list[list[Rating]], list[Choice]]:
    """The ratings of all candidates of all requests, and the best ``n`` distinct ones of each request."""
    rated = ranker.rate(groups, workers)
    return rated, [choose(group, ratings, ranker, n) for group, ratings in zip(groups, rated, strict=True)]
