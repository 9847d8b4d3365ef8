"""Requests to samples: jobs, batches, the best of several candidates where asked."""

from __future__ import annotations

import warnings
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, overload

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.crystals.limits import breach
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.peaks import PeakList
from unigen.elements import parse_formula
from unigen.errors import UserError
from unigen.models.generator import ASKED_PEAKS, Candidate, Generator, Job, Sample
from unigen.molecules.molecule import Molecule
from unigen.parallel import ProgressBar, Workers
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.load import load
from unigen.sample.parents import parent_remarks
from unigen.sample.patterns import asked_patterns

Request = CrystalRequest | MoleculeRequest

BUNDLED = {CrystalRequest: "unigen-crystal-small", MoleculeRequest: "unigen-molecule"}
"""The model that serves a request, unless another is named."""


@overload
def generate(
    requests: CrystalRequest | Sequence[CrystalRequest],
    *,
    n: int = 1,
    model: str | Generator | None = None,
    seed: int = 0,
    ranking: RankSettings | None = None,
    workers: int | None = None,
    batch_size: int = 512,
    **settings: Any,
) -> list[Sample[CrystalRequest, Crystal]]: ...


@overload
def generate(
    requests: MoleculeRequest | Sequence[MoleculeRequest],
    *,
    n: int = 1,
    model: str | Generator | None = None,
    seed: int = 0,
    ranking: RankSettings | None = None,
    workers: int | None = None,
    batch_size: int = 512,
    **settings: Any,
) -> list[Sample[MoleculeRequest, Molecule]]: ...


def generate(
    requests: Request | Sequence[Request],
    *,
    n: int = 1,
    model: str | Generator | None = None,
    seed: int = 0,
    ranking: RankSettings | None = None,
    workers: int | None = None,
    batch_size: int = 512,
    device: str = "cpu",
    progress: bool = False,
    wavelength: str | float | None = None,
    axis: Axis | None = None,
    **settings: Any,
) -> list[Sample]:
    """Generate crystals or molecules.

    Args:
        requests: one or many.
        n: samples a request.
        model: a bundled name, a model folder, or a generator from ``unigen.load``; by default the bundled model of what
            is asked for.
        seed: same seed and device, same structures.
        ranking: draw candidates, and return the best distinct ones of each request; None returns what is drawn.
        workers: processes that rate candidates; by default one a core.
        batch_size: candidates drawn at once.
        device: of the model and of the potential that ranks.
        progress: show a bar.
        wavelength: of the powder patterns that requests name, for models that are asked for their peaks; by default as
            they are ranked by them, else what the files say.
        axis: likewise.
        settings: how the model draws, see ``load``; a generator has its own.

    Returns:
        ``n`` samples a request, in order; a sample that failed has no structure but a reason. Ranked ones are the
        best first, with what the ranker found in ``sample.ranking``.

    Raises:
        UserError: no such model, one that makes something else, or a setting that it does not have.

    Example:
        >>> from unigen import CrystalRequest, MoleculeRequest, RankSettings, generate
        >>> samples = generate(CrystalRequest(formula="SrTiO3"), n=2)
        >>> samples[0].structure.to_pymatgen().composition.reduced_formula
        'SrTiO3'
        >>> generate(MoleculeRequest(smiles="CCO"))[0].structure.to_smiles()
        'CCO'
        >>> ranked = generate(CrystalRequest(formula="NaCl"), n=2, ranking=RankSettings(candidates=6))
        >>> [sample.ranking["rank"] for sample in ranked]
        [1, 2]
    """
    all_requests = [requests] if isinstance(requests, CrystalRequest | MoleculeRequest) else list(requests)
    if not all_requests:
        return []
    model = model if model is not None else BUNDLED[type(all_requests[0])]
    if isinstance(model, str):
        generator = load(model, device=device, makes=_makes(all_requests[0]), **settings)
    elif settings:
        raise UserError(
            f"{next(iter(settings))}: a generator has its own settings", next_step="give them to unigen.load"
        )
    else:
        generator = model
    for line in parent_remarks(generator, all_requests):
        warnings.warn(line, stacklevel=2)
    ranker = None
    if ranking is not None:  # imported here: drawing alone runs where there is no chemistry
        from unigen.sample.rank import by_request, open_ranker, rank_candidates

        ranker = open_ranker(ranking, generator, all_requests, device)
    if ranking is not None and ranking.by == "pxrd":
        wavelength, axis = wavelength or ranking.wavelength, axis or ranking.axis
    patterns = asked_patterns(generator, all_requests, wavelength, axis)
    drawn = n if ranking is None else ranking.candidates
    keys = list(product(range(len(all_requests)), range(drawn)))
    drawn_samples: list[Sample] = []
    with ProgressBar("generating", len(keys), shown=progress) as bar:
        for batch in iter_samples(generator, all_requests, keys, seed, batch_size, patterns=patterns):
            drawn_samples += batch
            bar.advance(len(batch))
    samples = sorted(drawn_samples, key=lambda sample: (sample.request_index, sample.index))
    if ranker is None:
        return samples
    with Workers(workers, progress=progress) as pool:
        _, choices = rank_candidates(by_request(samples), ranker, n, pool)
    return [answer for choice in choices for answer in choice.answers]


def iter_samples(
    generator: Generator,
    requests: Sequence[Request],
    keys: Sequence[tuple[int, int]],
    seed: int,
    batch_size: int = 512,
    finished: Container[tuple[int, int]] = (),
    patterns: Mapping[str, PeakList] | None = None,
) -> Iterator[list[Sample]]:
    """Draw samples batch by batch, similar sizes together, smallest first; ``keys`` are (request index, sample index).

    Those of a request that names one of the ``patterns`` are asked for by its peaks.

    Batches are cut before those that are ``finished`` are left out: a run that goes on draws in the batches of an
    uninterrupted one, since the last digits of a matrix product depend on how many rows it has.
    """
    if batch_size < 1:
        raise UserError("batch size must be positive", got=batch_size)
    if any(_makes(request) != generator.makes for request in requests):
        raise UserError(f"{generator.name} makes {generator.makes}, and something else is asked for")
    size = [_size(request) for request in requests]
    ordered = sorted(keys, key=lambda key: (size[key[0]], key))
    for start in range(0, len(ordered), batch_size):
        batch = ordered[start : start + batch_size]
        if all(key in finished for key in batch):
            continue
        jobs = [Job(requests[r], r, index, seed, _peaks(requests[r], patterns or {})) for r, index in batch]
        candidates = [_within_limits(*drawn) for drawn in zip(jobs, generator.draw(jobs), strict=True)]
        samples = [_sample(generator.name, *drawn) for drawn in zip(jobs, candidates, strict=True)]
        yield [sample for key, sample in zip(batch, samples, strict=True) if key not in finished]


def _peaks(request: Request, patterns: Mapping[str, PeakList]) -> PeakList | None:
    return patterns.get(request.pxrd or "") if isinstance(request, CrystalRequest) else None


def _within_limits(job: Job, candidate: Candidate) -> Candidate:
    """The candidate, or the reason why it is no answer, whichever generator it is from."""
    request, structure = job.request, candidate.structure
    if structure is None or not isinstance(request, CrystalRequest) or not request.limits_geometry:
        return candidate
    broken = breach(request, structure)
    return replace(candidate, structure=None, reason=broken.reason) if broken.size else candidate


def _sample(model: str, job: Job, candidate: Candidate) -> Sample:
    return Sample(
        structure=candidate.structure,
        request=job.request,
        request_index=job.request_index,
        index=job.index,
        seed=job.seed,
        model=model,
        log_likelihood=candidate.log_likelihood,
        score=candidate.score,
        reason=candidate.reason,
        source=candidate.source,
        template=candidate.template,
        facts=candidate.facts | ({} if job.peaks is None else {ASKED_PEAKS: len(job.peaks)}),
    )


def _makes(request: Request) -> Kind:
    """What a request asks for."""
    return "molecules" if isinstance(request, MoleculeRequest) else "crystals"


def _size(request: Request) -> int:
    """Atoms as far as the request tells; open ones last.

    Only the order matters: a request whose size the model chooses (10,000 and its formula) comes behind every known
    size, and one that names not even a formula (100,000) behind those.
    """
    if isinstance(request, MoleculeRequest):
        return len(request.smiles) if request.smiles else 10_000
    if request.counts is not None:
        return sum(request.counts.values())
    if request.formula is not None:
        return 10_000 + sum(parse_formula(request.formula).values())
    return request.n_atoms or 100_000
