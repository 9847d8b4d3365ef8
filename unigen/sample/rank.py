"""Candidates to answers: the ranker that was asked for, opened, and put to the candidates of many requests."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from unigen.crystals.crystal import Crystal
from unigen.crystals.limits import breach
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
    device: str = "cpu",
) -> Ranker:
    """The ranker of these settings; all that is wrong with it is said here, before anything is drawn.

    Args:
        settings: which, and how.
        generator: of the candidates.
        requests: what they are candidates for.
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
    ranker: Ranker
    if settings.by == "likelihood":
        ranker = LikelihoodRanker(generator.name)
    elif settings.by == "pxrd":
        ranker = PatternRanker(wavelength=settings.wavelength, axis=settings.axis)
    else:
        potential = find_potential(settings.potential or POTENTIAL, settings.energy_scheme, device)
        ranker = EnergyRanker(
            potential,
            relax=settings.relax,
            settings=RelaxSettings(fix_symmetry=settings.fix_symmetry),
            pressures=settings.pressures,
            hull=Hull.open(settings.hull, potential) if settings.hull else None,
        )
    ranker.check(requests)
    return ranker


def by_request(samples: Iterable[Sample]) -> list[list[Sample]]:
    """The candidates of each request, of samples in the order of their requests."""
    return [list(group) for _, group in groupby(samples, key=lambda sample: sample.request_index)]


def rank_candidates(
    groups: Sequence[Sequence[Sample]], ranker: Ranker, n: int, workers: Workers, folder: Path | None = None
) -> tuple[list[list[Rating]], list[Choice]]:
    """The ratings of all candidates of all requests, and the best ``n`` distinct ones of each request.

    Args:
        groups: the candidates of each request.
        ranker: what chooses.
        n: answers a request.
        workers: what is slow is spread over these.
        folder: where it is kept, see `Ranker.rate`.
    """
    found = ranker.rate(groups, workers, folder)
    rated = [list(map(_within_limits, group, ratings)) for group, ratings in zip(groups, found, strict=True)]
    return rated, [choose(group, ratings, ranker, n) for group, ratings in zip(groups, rated, strict=True)]


def _within_limits(sample: Sample, rating: Rating) -> Rating:
    """The rating; without its structure where a ranker moved that out of what the request limits it to."""
    request, structure = sample.request, rating.structure
    if not (isinstance(request, CrystalRequest) and request.limits_geometry and isinstance(structure, Crystal)):
        return rating
    broken = breach(request, structure)
    if not broken.size:
        return rating
    return replace(rating, merit=float("-inf"), structure=None, reason=f"once moved by the ranker: {broken.reason}")
