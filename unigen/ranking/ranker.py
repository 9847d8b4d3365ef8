"""What chooses among the candidates of a request: a number for each, with a unit, and how good that makes it.

A generator draws the right structure far more often than it draws it first, so drawing and choosing are kept apart: a
`Ranker` knows neither how candidates were drawn nor how many are wanted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from unigen.crystals.crystal import Crystal
from unigen.models.generator import Sample
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers
from unigen.request import CrystalRequest, MoleculeRequest

Facts = Mapping[str, str | int | float]
"""What a ranker found, by name, with units in the names: columns of tables and pages."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Rating:
    """What a ranker says of a candidate.

    Attributes:
        merit: larger is better among the candidates of one request; between requests it says nothing. Minus infinity
            where the candidate could not be rated: it is then ranked behind all others.
        value: in the ranker's unit; None where there is none.
        structure: the candidate, perhaps moved (its cell rescaled, its atoms relaxed); None where it failed.
        facts: what else was found, by name.
        reason: why it could not be rated; empty otherwise.
    """

    merit: float
    value: float | None
    structure: Crystal | Molecule | None
    facts: Facts = field(default_factory=dict)
    reason: str = ""


@runtime_checkable
class Ranker(Protocol):
    """A way to choose.

    Attributes:
        name: such as "energy".
        quantity: what `Rating.value` is, as a column is headed: ``energy_per_atom``.
        unit: of it; empty where it has none.
        lower_is_better: the direction of the value alone.
        trained_on: what the number comes from and which data that has seen, in a sentence: who reads a ranking must be
            able to tell whether the ranker knew the answer.
    """

    name: str
    quantity: str
    unit: str
    lower_is_better: bool
    trained_on: str

    def facts(self) -> dict[str, object]:
        """What its ratings depend on besides the candidates, for ``run.yaml``."""
        ...

    def check(self, requests: Sequence[CrystalRequest | MoleculeRequest]) -> None:
        """Refuse what cannot be ranked, before anything is drawn for it.

        Raises:
            UserError: a request that lacks what this way of ranking needs (a formula, a pattern, a property).
        """
        ...

    def rate(
        self, groups: Sequence[Sequence[Sample]], workers: Workers, folder: Path | None = None
    ) -> list[list[Rating]]:
        """A rating for every candidate of every request.

        Args:
            groups: the candidates of each request, failed ones among them. What a structure is worth may depend on the
                others of its group, and on nothing else.
            workers: what is slow is spread over these, over all groups at a time.
            folder: where what is slow is kept, so that an interrupted run goes on; None keeps it in memory.
        """
        ...


def unrated(sample: Sample, reason: str) -> Rating:
    """The rating of a candidate that has no number."""
    return Rating(merit=float("-inf"), value=None, structure=sample.structure, reason=reason or sample.reason)


def log_probability(sample: Sample) -> float:
    """What the generator held its own choice of structure for, in nats; 0 where it does not say."""
    value = sample.source.get("log_probability", 0.0)
    return float(value) if isinstance(value, int | float) else 0.0
