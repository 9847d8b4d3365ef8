"""The baseline that needs no learning as a generator: known structures with their elements exchanged."""

from __future__ import annotations

from collections.abc import Collection

from unigen.data.crystal_store import CrystalDataset, open_dataset
from unigen.data.dataset_file import resolve_dataset
from unigen.disk import sha256_of
from unigen.errors import UserError
from unigen.models.generator import Draft, Job, Makes, Opened, Range, refuse_more_than_composition
from unigen.models.nearest.settings import NearestSettings
from unigen.models.nearest.substitution import Proposal, SubstitutionGenerator
from unigen.request import CrystalRequest

NEAREST = "nearest"
"""Its name: it has no folder."""


class NearestGenerator:
    """Copies known structures: of a formula the chemically nearest, sample k the k-th, and nothing is random.

    Without a formula: one drawn at random, with one element exchanged for a similar one (`ElementExchange`).

    Args:
        dataset: where to copy from.
        version: checksum of the dataset.
        exclude_formula: use no structure of the request's own formula (for benchmarks).
    """

    name = NEAREST
    makes: Makes = "crystals"
    settings = NearestSettings()

    def __init__(self, dataset: CrystalDataset, version: str = "", *, exclude_formula: bool = False) -> None:
        self.version = version
        self.generator = SubstitutionGenerator.fit(dataset)
        self.exclude_formula = exclude_formula

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """See Generator; the best of K candidates of a formula is the nearest, as each of them is."""
        wanted: dict[CrystalRequest, int] = {}
        for job in jobs:
            if job.request.formula is not None:
                wanted[job.request] = max(wanted.get(job.request, 0), job.index + 1)
        found = {request: self._propose(request, k) for request, k in wanted.items()}
        return [
            self._invent(job) if job.request.formula is None else self._nearest(found[job.request], job.index)
            for job in jobs
        ]

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator: no property can be asked for."""
        del properties
        return {}

    def _invent(self, job: Job) -> Draft:
        try:
            refuse_more_than_composition(job.request, self.name)
            return _draft(self.generator.invent(job.request, job.rng()))
        except UserError as error:
            return Draft(None, reason=str(error))

    def _propose(self, request: CrystalRequest, k: int) -> list[Proposal] | UserError:
        try:
            refuse_more_than_composition(request, self.name)
            return self.generator.propose(request, k, exclude_formula=self.exclude_formula)
        except UserError as error:
            return error

    def _nearest(self, proposals: list[Proposal] | UserError, index: int) -> Draft:
        if isinstance(proposals, UserError):
            return Draft(None, reason=str(proposals))
        if index >= len(proposals):
            return Draft(None, reason=f"only {len(proposals)} distinct templates known for this composition")
        return _draft(proposals[index])


def nearest_generator(opened: Opened) -> NearestGenerator:
    """A generator over the dataset that is asked for.

    Raises:
        UserError: none is, or it is not built.
    """
    if opened.retrieve_from is None:
        raise UserError("nearest: copies from which dataset?", next_step="give --retrieve-from, such as oqmd-icsd")
    path, _ = resolve_dataset(opened.retrieve_from)
    dataset = open_dataset(opened.retrieve_from)
    return NearestGenerator(dataset, sha256_of(path), exclude_formula=opened.exclude_formula)


def _draft(chosen: Proposal) -> Draft:
    source: dict[str, str | int | float] = {
        "id": chosen.source_id,
        "formula": chosen.source_formula,
        "distance": round(chosen.distance, 4),
    }
    return Draft(chosen.crystal, score=-chosen.distance, source=source)
