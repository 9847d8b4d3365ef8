"""The nearest-neighbour substitution baseline as a generator: sample k is the k-th nearest proposal."""

from __future__ import annotations

from unigen.data.store import CrystalDataset
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.retrieval.substitution import Proposal, SubstitutionGenerator
from unigen.sample.job import Draft, Job, refuse_more_than_composition


class NearestGenerator:
    """Copies the chemically nearest known structures; nothing is random.

    Args:
        dataset: where to copy from.
        version: checksum of the dataset.
        exclude_formula: use no structure of the request's own formula (for benchmarks).
    """

    name = "nearest"

    def __init__(self, dataset: CrystalDataset, version: str = "", *, exclude_formula: bool = False) -> None:
        self.version = version
        self.generator = SubstitutionGenerator.fit(dataset)
        self.exclude_formula = exclude_formula

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """See Generator; a candidate counts as a further sample, so the best of K is the nearest."""
        wanted: dict[CrystalRequest, int] = {}
        for job in jobs:
            wanted[job.request] = max(wanted.get(job.request, 0), job.index + 1)
        found = {request: self._propose(request, k) for request, k in wanted.items()}
        return [self._draft(found[job.request], job.index) for job in jobs]

    def _propose(self, request: CrystalRequest, k: int) -> list[Proposal] | UserError:
        try:
            refuse_more_than_composition(request, self.name)
            return self.generator.propose(request, k, exclude_formula=self.exclude_formula)
        except UserError as error:
            return error

    def _draft(self, proposals: list[Proposal] | UserError, index: int) -> Draft:
        if isinstance(proposals, UserError):
            return Draft(None, reason=str(proposals))
        if index >= len(proposals):
            return Draft(None, reason=f"only {len(proposals)} distinct templates known for this composition")
        chosen = proposals[index]
        source: dict[str, str | int | float] = {
            "id": chosen.source_id,
            "formula": chosen.source_formula,
            "distance": round(chosen.distance, 4),
        }
        return Draft(chosen.crystal, score=-chosen.distance, source=source)
