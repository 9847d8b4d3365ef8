"""What draws structures, of whatever family: jobs in, candidates out, with the settings that the family has."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from unigen.cards import Kind
from unigen.config import check_ranges
from unigen.crystals.powder.peaks import PeakList
from unigen.display import ShownInNotebooks
from unigen.errors import UserError
from unigen.nn.conditions.properties import Range
from unigen.request import CrystalRequest
from unigen.retrieval.compositions import Formula
from unigen.retrieval.parents import Parents
from unigen.symmetry.space_groups import space_group

Request = TypeVar("Request")
"""CrystalRequest or MoleculeRequest."""

TEMPERATURES = (0.05, 100)
"""Range of temperatures that divide: below all go to the same mode, and at 0 nothing can be divided."""

SCORE_STEPS = 8
"""Solver steps of the likelihood of a sample (Heun): a compromise, since each costs a derivative a dimension. For 32
samples of unigen-crystal-small, 8 steps differ from 64 by 1.6 nats (median; 4.4 for one in ten), 4 from 8 by 4.5."""

Structure_co = TypeVar("Structure_co", covariant=True)
"""Crystal or Molecule."""


UNUSED = 0
"""In the seed of every stream of random numbers, where the number of a candidate once was: without it all samples of
today's models would be others."""


ASKED_PEAKS = "asked_peaks"
"""Among the facts of a sample: how many peaks of a powder pattern its generator was asked for it by."""


@dataclass(frozen=True)
class Job(Generic[Request]):
    """A draw. ``rng`` depends on these numbers alone, so a draw changes with its batch by rounding only.

    Attributes:
        request: what is wanted.
        request_index: place of the request in the run.
        index: which sample of the request.
        seed: of the run.
        peaks: of the powder pattern that the request names, for generators that hear them; None: nothing is asked of
            its pattern.
    """

    request: Request
    request_index: int
    index: int
    seed: int
    peaks: PeakList | None = None

    def rng(self) -> np.random.Generator:
        """This draw's own random numbers."""
        return np.random.default_rng([self.seed, self.request_index, self.index, UNUSED])


@dataclass(frozen=True)
class Candidate(Generic[Structure_co]):
    """The structure that a generator drew for a job, or why there is none.

    Attributes:
        structure: Crystal or Molecule, or None when the job failed.
        reason: why it failed.
        log_likelihood: in nats, of composition, lattice and sites; None where the generator has none.
        score: larger is better among the candidates of one request.
        source: where it comes from, for generators that copy.
        template: the space group and orbits it was given, as text; empty where the generator knows no symmetry.
        facts: what the generator has computed of the structure, see `Sample.facts`.
    """

    structure: Structure_co | None
    reason: str = ""
    log_likelihood: float | None = None
    score: float = 0.0
    source: dict[str, str | int | float] = field(default_factory=dict)
    template: str = ""
    facts: dict[str, str | int | float | None] = field(default_factory=dict)


@runtime_checkable
class Generator(Protocol):
    """Anything that draws crystals or molecules: a network, or a copy of the nearest known structure.

    Attributes:
        name: reported with every sample.
        version: checksum of the weights or of the data copied from: two equal ones draw the same.
        makes: what it draws.
        settings: how it draws, a dataclass of its family; written into ``run.yaml``.
    """

    name: str
    version: str
    makes: Kind
    settings: Any

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """One candidate a job, in order."""
        ...

    def ranges(self, properties: Collection[str]) -> dict[str, Range]:
        """Range, unit and spread of each of these properties in the training data; nothing where it knows none.

        Raises:
            UserError: a property that is not among those that the model knows.
        """
        ...


@runtime_checkable
class FollowsParents(Protocol):
    """A generator that can follow structures of the user.

    Attributes:
        parents: those it has; None where it has none.
    """

    parents: Parents | None

    def fitting_parents(self, request: CrystalRequest) -> list[int]:
        """The places of the parents that the samples of a request follow, in their order."""
        ...


@runtime_checkable
class HearsPeaks(Protocol):
    """A generator that can be asked for a powder pattern by its peaks (``Job.peaks``).

    Attributes:
        most_peaks: of a pattern, the strongest; 0: this one hears none.
    """

    most_peaks: int


@runtime_checkable
class RepeatsKnown(Protocol):
    """A generator that follows known structures, maybe without drawing anything by the seed."""

    def is_repeated(self, source: Mapping[str, object]) -> bool:
        """Whether a sample of a formula, of this source, is the same with every seed, in a cell of the same size."""
        ...


@dataclass(frozen=True, kw_only=True)
class VectorSettings:
    """How vectors are drawn by a diffusion head.

    Attributes:
        steps: solver steps a vector. For 32 samples of unigen-crystal-small, 14 steps differ from 112 by .001 Angstrom
            in the cell and 1e-5 in the sites (medians), 7 steps by five times as much.
        solver: dpm2m evaluates the head once a step, heun twice.
        temperature: 1 draws from the model itself; below 1 symbols are sharpened and vectors drawn towards their modes
            (see ``solvers.tempered``). The default was chosen on MP-20 validation (match rate 54 % against 51 % at 1,
            500 structures).
    """

    steps: int = 14
    solver: Literal["dpm2m", "heun"] = "dpm2m"
    temperature: float = 0.7

    def __post_init__(self) -> None:
        check_ranges(self, steps=(1, 10_000), temperature=TEMPERATURES)


@dataclass(frozen=True, kw_only=True)
class OpenedModel:
    """A model as it is on disk, and how it is to draw: what a family makes a generator of.

    Attributes:
        network: in evaluation mode; None in families that learn nothing.
        folder: of the model; None likewise.
        name: reported with every sample.
        version: checksum of the weights; empty without.
        makes: the kind of structure that it is to draw.
        settings: how to draw, of the family's own class.
        score: whether the exact likelihood of every sample is computed, where there is one.
        retrieve_from: dataset of known structures; None for the model's own.
        exclude_formula: use no known structure of the requested formula.
        parents: structures of the user that are to be followed first.
        known: formulas that are known besides; None where nobody asks.
    """

    network: Any
    folder: Path | None
    name: str
    version: str
    makes: Kind
    settings: Any
    score: bool
    retrieve_from: str | Path | None
    exclude_formula: bool
    parents: Parents | None = None
    known: frozenset[Formula] | None = None

    @property
    def score_steps(self) -> int:
        """Solver steps of the exact likelihood; 0 leaves it out."""
        return SCORE_STEPS if self.score else 0


@dataclass(frozen=True, repr=False)
class Sample(ShownInNotebooks, Generic[Request, Structure_co]):
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
        ranking: of an answer that was chosen among candidates: its rank from 1, which candidate it is, and what the
            ranker found of it; empty for others.
        facts: what was computed of the structure later, by name: energies, distance to a hull, predicted properties.
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
    ranking: dict[str, str | int | float] = field(default_factory=dict)
    facts: dict[str, str | int | float | None] = field(default_factory=dict)

    def __repr__(self) -> str:
        if self.structure is None:
            return f"Sample(failed: {self.reason})"
        told = [str(getattr(self.structure, "formula", self.structure))]
        if self.template:
            told[0] += f" {space_group(int(self.template.split(maxsplit=1)[0])).symbol}"
        elif "space_group" in self.facts:
            told[0] += f" {self.facts['space_group']}"
        elif getattr(self.structure, "smiles", ""):
            told[0] += f" {getattr(self.structure, 'smiles', '')}"
        told += [f"rank {self.ranking['rank']}"] if "rank" in self.ranking else []
        told += [f"follows {self.source['formula']} {self.source['id']}"] if "formula" in self.source else []
        return f"Sample({', '.join(told)})"


def refuse_more_than_composition(request: CrystalRequest, name: str) -> None:
    """For generators that can choose neither a symmetry nor properties.

    Raises:
        UserError: the request asks for one.
    """
    conditions = {
        "a symmetry": request.template or request.space_group or request.crystal_system,
        "different space groups": request.distinct,
        "properties": ", ".join(request.properties),
    }
    for condition, got in conditions.items():
        if got:
            raise UserError(
                f"{name} cannot be asked for {condition}",
                got=got,
                next_step="use a wyckoff model, such as unigen-crystal-small",
            )


def refuse_retrieval(retrieve_from: str | Path | None, model: str, *, exclude_formula: bool) -> None:
    """For models that look no known structures up.

    Raises:
        UserError: known structures are named, or some are to be left out.
    """
    if retrieve_from is not None or exclude_formula:
        given = "--exclude-formula" if retrieve_from is None else f"--retrieve-from {retrieve_from}"
        raise UserError("this model retrieves nothing", got=given, where=model)
