"""One structure to draw, and what came of it: what every generator takes and gives."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, runtime_checkable

import numpy as np

from unigen.errors import UserError
from unigen.request import CrystalRequest

Request = TypeVar("Request")
"""CrystalRequest or MoleculeRequest."""

Structure_co = TypeVar("Structure_co", covariant=True)
"""Crystal or Molecule."""


@dataclass(frozen=True)
class Job(Generic[Request]):
    """A draw. ``rng`` depends on these numbers alone, so a draw changes with its batch by rounding only.

    Attributes:
        request: what is wanted.
        request_index: place of the request in the run.
        index: which sample of the request.
        candidate: which candidate for that sample, when the best of several is kept.
        seed: of the run.
    """

    request: Request
    request_index: int
    index: int
    candidate: int
    seed: int

    def rng(self) -> np.random.Generator:
        """This draw's own random numbers."""
        return np.random.default_rng([self.seed, self.request_index, self.index, self.candidate])


@dataclass(frozen=True)
class Draft(Generic[Structure_co]):
    """What a generator answers to a job.

    Attributes:
        structure: Crystal or Molecule, or None when the job failed.
        reason: why it failed.
        log_likelihood: in nats, of composition, lattice and sites; None where the generator has none.
        score: larger is better among the candidates of one request.
        source: where it comes from, for generators that copy.
        template: the space group and orbits it was given, as text; empty where the generator knows no symmetry.
    """

    structure: Structure_co | None
    reason: str = ""
    log_likelihood: float | None = None
    score: float = 0.0
    source: dict[str, str | int | float] = field(default_factory=dict)
    template: str = ""


@runtime_checkable
class Generator(Protocol):
    """Anything that draws crystals or molecules: a network, or a copy of the nearest known structure.

    Attributes:
        name: reported with every sample.
        version: checksum of the weights or of the data copied from: two equal ones draw the same.
    """

    name: str
    version: str

    def draw(self, jobs: list[Job]) -> list[Draft]:
        """One draft a job, in order."""
        ...


@dataclass(frozen=True)
class Sample(Generic[Request, Structure_co]):
    """A generated structure and how it came about.

    Attributes:
        structure: None when generation failed.
        request: what was asked for.
        request_index: place of the request in the run.
        index: which sample of the request, from 0.
        seed: of the run.
        model: name of the generator.
        log_likelihood: in nats; None where the generator has none.
        score: larger is better within one request.
        reason: why there is no structure.
        source: where it comes from: the structure followed and how far away; how often it was drawn again.
        template: the space group and orbits it was given, such as ``"221 Sr:a Ti:b O:c"``; empty where unknown.
    """

    structure: Structure_co | None
    request: Request
    request_index: int
    index: int
    seed: int
    model: str
    log_likelihood: float | None
    score: float
    reason: str = ""
    source: dict[str, str | int | float] = field(default_factory=dict)
    template: str = ""


def refuse_more_than_composition(request: CrystalRequest, name: str) -> None:
    """For generators that can choose neither a symmetry nor properties.

    Raises:
        UserError: the request asks for one.
    """
    if request.asks_symmetry or request.properties:
        asked = "a symmetry" if request.asks_symmetry else "properties"
        raise UserError(
            f"{name} cannot be asked for {asked}",
            got=request.template or request.space_group or request.crystal_system or ", ".join(request.properties),
            next_step="use a wyckoff model, such as unigen-crystal-small",
        )
