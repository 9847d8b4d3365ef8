"""What a model that is trained further can do before and after: on what is held out, and on what it knew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.data.store import Dataset
from unigen.elements import SYMBOLS
from unigen.eval.molecules.conformer_rms import ConformerTask, compare_conformers
from unigen.eval.property_estimate import PropertyEstimate
from unigen.models.checkpoint import begin_with, load_model
from unigen.models.families import build_model, open_training_set
from unigen.models.fine_tuning import Material
from unigen.models.generator import Generator
from unigen.models.interface import Network
from unigen.models.training_set import TrainingSet
from unigen.molecules.molecule import Molecule
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.generate import iter_samples
from unigen.sample.load import load
from unigen.train.match import choose_references, match_rate
from unigen.train.settings import TrainConfig

MOST_DRAWN = 100
"""Held-out structures that are drawn, at most: a match rate of 100 is known to five points, in seconds."""

GUIDANCE = 2.0
"""With which properties are asked for, as in our published numbers."""

NEAR = 0.5
"""Angstrom, heavy atoms: a conformer so near is the same, as in the conformer protocol (Ganea et al. 2021, GeoMol)."""

_MOST_ORDERS = 1_000
"""Symmetry-equivalent orders of the atoms that are tried for a pair: a held-out molecule of more costs minutes."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured of one model.

    Attributes:
        score: share of the held-out structures that one sample each finds, or mean absolute error of what was asked.
        drawn: how many were drawn for it.
        made: how many of these there are; the others failed, and count as not found, but have no error.
        held_out: weighted sum of the losses of held-out structures, as it is trained on.
        held_out_losses: each of them.
        remembered: the same sum of structures that the model has learned before.
        remembered_losses: each of them.
    """

    score: float
    drawn: int
    made: int
    held_out: float
    held_out_losses: dict[str, float] = field(default_factory=dict)
    remembered: float
    remembered_losses: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """A property, the values that are asked for, and what judges.

    Attributes:
        name: of the property.
        unit: of it.
        values: of held-out structures, to be asked for.
        elements: of all structures: those that may occur in the answers.
        judge: fitted to all of them.
    """

    name: str
    unit: str
    values: tuple[float, ...]
    elements: tuple[str, ...]
    judge: PropertyEstimate

    @classmethod
    def of(cls, name: str, unit: str, data: Dataset, seed: int) -> Asked:
        """Of a dataset that has the property, of finite values."""
        values = data.properties[name]
        known = np.flatnonzero(np.isfinite(values))
        held_out = known[data.split[known] == "val"]
        chosen = np.random.default_rng([seed, 3]).permutation(held_out)[:MOST_DRAWN]
        elements = tuple(SYMBOLS[number] for number in np.unique(data.numbers).tolist())
        judge = PropertyEstimate.fit([data[int(row)] for row in known], values[known])
        return cls(name=name, unit=unit, values=tuple(values[chosen].tolist()), elements=elements, judge=judge)

    def requests(self, kind: Kind, *, told: bool) -> Sequence[CrystalRequest] | Sequence[MoleculeRequest]:
        """One a value; of crystals the elements are those of the data. Not told, they ask for no property."""
        asked = [{self.name: value} if told else {} for value in self.values]
        if kind == "molecules":
            return [MoleculeRequest(properties=properties) for properties in asked]
        return [CrystalRequest(elements=self.elements, properties=properties) for properties in asked]


@dataclass(frozen=True, kw_only=True, eq=False)
class Measures:
    """Measures models of one run; every model is given the same structures and the same noise.

    Attributes:
        kind: of structure.
        run: the training.
        material: what it trains on.
        base: folder of the model it begins with.
        asked: the property that is learned; None where structures are.
    """

    kind: Kind
    run: TrainConfig
    material: Material
    base: Path
    asked: Asked | None

    def before(self) -> Measured:
        """The model as it was; of one that cannot be asked for the property, samples that were not asked for it."""
        return self._of(self.start(), load(self.base, makes=self.kind, score=False, **self._guidance), told=False)

    def with_relatives(self) -> Measured | None:
        """The same weights with the joined table; None for models without one."""
        if self.material.table is None:
            return None
        generator = load(self.base, makes=self.kind, score=False, retrieve_from=self.material.table, **self._guidance)
        return self._of(self.start(), generator, told=False)

    def after(self, model: Path) -> Measured:
        """The new model."""
        return self._of(load_model(model), load(model, makes=self.kind, score=False, **self._guidance), told=True)

    def start(self) -> Network:
        """The network that training begins with: parts that it has not learned yet change nothing."""
        torch.manual_seed(self.run.seed)
        network = build_model(self.run.model)
        self._data.prepare(network)
        begin_with(network, self.base)
        return network.eval()

    @property
    def _guidance(self) -> dict[str, Any]:
        return {} if self.asked is None else {"guidance": GUIDANCE}

    @cached_property
    def _data(self) -> TrainingSet:
        return open_training_set(self.run.data, self.run.model)

    @cached_property
    def _remembered(self) -> TrainingSet:
        data = replace(self.run.data, train=self.material.remembered, val=self.material.remembered, replay=None)
        return open_training_set(data, self.run.model)

    def _of(self, network: Network, generator: Generator, *, told: bool) -> Measured:
        held_out, remembered = (self._losses(network, each) for each in (self._data, self._remembered))
        if self.asked is not None:
            score, drawn, made = self._error(generator, self.asked, told=told)
        elif self.kind == "crystals":
            score, drawn, made = self._matched(generator)
        else:
            score, drawn, made = self._conformers(generator)
        return Measured(
            score=score,
            drawn=drawn,
            made=made,
            held_out=self._total(held_out),
            held_out_losses=held_out,
            remembered=self._total(remembered),
            remembered_losses=remembered,
        )

    def _total(self, losses: dict[str, float]) -> float:
        return sum(self.run.optim.weight(name) * loss for name, loss in losses.items())

    @torch.no_grad()
    def _losses(self, network: Network, data: TrainingSet) -> dict[str, float]:
        batches = data.val_batches(self.run.data.batch_size, len(data.val), self.run.seed)
        sums: dict[str, float] = {}
        for number, batch in enumerate(batches):
            losses = network.losses(batch, torch.Generator().manual_seed(number), only=self.run.only)
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0.0) + float(loss) * len(batch)
        return {name: total / len(data.val) for name, total in sums.items()}

    def _matched(self, generator: Generator) -> tuple[float, int, int]:
        from unigen.crystals import matching

        references = choose_references(self._data.references, MOST_DRAWN, self.run.seed)
        rate = match_rate(generator, references, self.run.seed, matching)
        return rate, len(references), len(references)

    def _conformers(self, generator: Generator) -> tuple[float, int, int]:
        """Share of the held-out molecules whose one conformer, drawn for their SMILES, is near."""
        molecules = self._data.val
        chosen = np.random.default_rng([self.run.seed, 1]).permutation(len(molecules))[:MOST_DRAWN]
        references: list[Molecule] = [molecules[int(row)] for row in chosen]
        drawn = self._draw(generator, [MoleculeRequest(smiles=reference.smiles) for reference in references])
        near = 0
        for sample, reference in zip(drawn, references, strict=True):
            assert not isinstance(sample, Crystal)
            task = ConformerTask(smiles=reference.smiles, references=(reference,), samples=(sample,), n=1)
            near += bool(compare_conformers(task, _MOST_ORDERS).rms.min() < NEAR)
        return near / len(references), len(references), sum(sample is not None for sample in drawn)

    def _error(self, generator: Generator, asked: Asked, *, told: bool) -> tuple[float, int, int]:
        requests = asked.requests(self.kind, told=told)
        drawn = self._draw(generator, requests)
        made = [(sample, value) for sample, value in zip(drawn, asked.values, strict=True) if sample is not None]
        have = asked.judge([sample for sample, _ in made])
        errors = np.abs(have - np.array([value for _, value in made]))
        return float(errors.mean()) if len(errors) else float("nan"), len(drawn), len(made)

    def _draw(
        self, generator: Generator, requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest]
    ) -> list[Crystal | Molecule | None]:
        keys = [(number, 0) for number in range(len(requests))]
        drawn: list[Crystal | Molecule | None] = [None] * len(requests)
        for samples in iter_samples(generator, requests, keys, self.run.seed, batch_size=64):
            for sample in samples:
                drawn[sample.request_index] = sample.structure
        return drawn


def open_kind(kind: Kind, store: Path) -> Dataset:
    """A dataset of either kind."""
    return open_crystals(store) if kind == "crystals" else open_molecules(store)
