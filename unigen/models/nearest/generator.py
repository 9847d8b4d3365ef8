"""The baseline that needs no learning as a generator: known structures with their elements exchanged."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from unigen.cards import Kind
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.disk import sha256_of
from unigen.errors import UserError
from unigen.models.generator import Candidate, Job, OpenedModel, Range, refuse_more_than_composition
from unigen.models.nearest.substitution import Proposal, SubstitutionGenerator
from unigen.request import CrystalRequest

NEAREST = "nearest"
"""Its name: it has no folder."""


@dataclass(frozen=True, kw_only=True)
class NearestSettings:
    """None: what is copied is not drawn."""


class NearestGenerator:
    """Copies known structures: of a formula the chemically nearest, sample k the k-th, and nothing is random.

    Without a formula: one drawn at random, with one element exchanged for a similar one (`ElementExchange`).

    Args:
        dataset: where to copy from.
        version: checksum of the dataset.
        exclude_formula: use no structure of the request's own formula (for benchmarks).
    """

    name = NEAREST
    makes: Kind = "crystals"
    settings = NearestSettings()

    def __init__(self, dataset: CrystalDataset, version: str = "", *, exclude_formula: bool = False) -> None:
        self.version = version
        self.generator = SubstitutionGenerator.fit(dataset)
        self.exclude_formula = exclude_formula

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """See Generator; the best of K candidates of a formula is the nearest, as each of them is."""
        samples: dict[CrystalRequest, int] = {}
        for job in jobs:
            samples[job.request] = max(samples.get(job.request, 0), job.index + 1)
        proposals: dict[CrystalRequest, list[Proposal]] = {}
        candidates: list[Candidate] = []
        for job in jobs:
            request = job.request
            try:
                refuse_more_than_composition(request, self.name)
                if request.formula is None:
                    candidates.append(_candidate(self.generator.draw_new(request, job.rng())))
                    continue
                if request not in proposals:
                    proposals[request] = self.generator.propose(
                        request, samples[request], exclude_formula=self.exclude_formula
                    )
            except UserError as error:
                candidates.append(Candidate(None, reason=str(error)))
                continue
            nearest = proposals[request]
            if job.index < len(nearest):
                candidates.append(_candidate(nearest[job.index]))
            else:
                reason = f"only {len(nearest)} distinct templates known for this composition"
                candidates.append(Candidate(None, reason=reason))
        return candidates

    def is_repeated(self, source: Mapping[str, object]) -> bool:
        """See RepeatsKnown: what is nearest depends on no seed."""
        del source
        return True

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """See Generator: no property can be asked for."""
        del properties
        return {}


def _candidate(proposal: Proposal) -> Candidate:
    source: dict[str, str | int | float] = {
        "id": proposal.source_id,
        "formula": proposal.source_formula,
        "distance": round(proposal.distance, 4),
    }
    return Candidate(proposal.crystal, score=-proposal.distance, source=source)


def nearest_generator(opened: OpenedModel) -> NearestGenerator:
    """A generator over the dataset that is asked for.

    Raises:
        UserError: none is, or it is not built.
    """
    if opened.retrieve_from is None:
        raise UserError("nearest: copies from which dataset?", next_step="give --retrieve-from, such as oqmd-icsd")
    path, _ = resolve_dataset(opened.retrieve_from)
    dataset = open_crystals(opened.retrieve_from)
    return NearestGenerator(dataset, sha256_of(path), exclude_formula=opened.exclude_formula)
