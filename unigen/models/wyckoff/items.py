"""Crystals as a wyckoff model is trained on them: following a neighbour of the same template, or with a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.peaks import PeakList
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.data.compositions import densities
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.errors import UserError
from unigen.models.peaks import collate_peaks, shown_peaks
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.models.wyckoff.augmentation import draw_exchange, exchanged_lesson
from unigen.models.wyckoff.batch import WyckoffBatch, collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel
from unigen.models.wyckoff.tokens import Start, WyckoffSequence, encode, plain_start
from unigen.nn.conditions.properties import value_vector
from unigen.retrieval.build_table import open_table, table_path
from unigen.retrieval.lessons import LESSONS, Lesson, Lessons, read_lessons
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import read_table
from unigen.retrieval.verdicts import aligned_lesson
from unigen.shapes import Float, Int
from unigen.tokens.labels import token_labels

_PROPERTY_RATE = 0.5
"""How often a crystal is shown with each of its properties: the model may be asked for any of them, or none."""

DENSITY = "density"
"""Of the cell, in g/cm^3: the property that needs no data."""

_NEW_TEMPLATE_RATE = 0.25
"""How often a crystal is written without a neighbour although one has its template. Only crystals without such a
neighbour would otherwise teach the model to write templates."""


@dataclass(frozen=True, eq=False)
class Item:
    """One encoded crystal, the neighbour it follows (-1: none), its lesson, and the peaks that stand before it."""

    sequence: WyckoffSequence
    followed: int
    lesson: Lesson
    peaks: PeakList | None = None


def open_wyckoff(data: DataConfig, config: WyckoffConfig) -> TrainingSet:
    """Crystals with their lessons, beside the known structures that they may follow.

    Raises:
        UserError: a dataset that is not built, without templates or lessons, or without a crystal that fits the model.
    """
    retriever = open_retriever(*table_path(data.retrieve_from or data.train))
    train = WyckoffItems(data.train, retriever, config, data.exchange, partly=data.some_properties)
    val = WyckoffItems(data.val, retriever, config, partly=data.some_properties)
    crystals = open_crystals(data.val)
    return TrainingSet(
        train=train,
        encode=train.encode,
        collate=partial(collate_items, most_peaks=config.peaks),
        val=val,
        encode_val=val.encode,
        prepare=train.prepare,
        generator=lambda network: WyckoffGenerator(network, retriever, "training", score_steps=0, exclude_formula=True),
        references=crystals.select(crystals.num_atoms <= config.max_atoms),
    )


class WyckoffItems:
    """The crystals of one split that fit a model; ``items.encode(position, index, rng)`` gives one as it is shown.

    Args:
        dataset: ``NAME:SPLIT`` of a dataset with templates and lessons.
        retriever: over the table its neighbours come from.
        config: sizes of the model.
        exchange: share of crystals shown with one element exchanged for a similar one.
        partly: whether the dataset may lack properties of the model.

    Raises:
        UserError: no crystal fits, or a property the dataset does not have.
    """

    def __init__(
        self,
        dataset: str,
        retriever: Retriever,
        config: WyckoffConfig,
        exchange: float = 0.0,
        *,
        partly: bool = False,
    ) -> None:
        path, split = resolve_dataset(dataset)
        self.table = open_table(dataset.rsplit(":", 1)[0] if split else dataset)
        self.lessons: Lessons = read_lessons(path.with_name(LESSONS), self.table, retriever)
        self.retriever, self.exchange = retriever, exchange
        self.peaks, self.peak_dropout = config.peaks, config.peak_dropout
        orbits = np.diff(self.table.offsets)
        fits = (self.table.num_atoms <= config.max_atoms) & (orbits <= config.max_orbits)
        self.index: Int[np.ndarray, "crystals"] = np.flatnonzero(fits & ((self.table.split == split) | (split is None)))
        if not len(self.index):
            raise UserError("no crystal fits the model", where=dataset, wanted=f"<= {config.max_atoms} atoms")
        elements = np.diff(self.table.element_offsets)
        self.values = property_values(dataset, config.properties, self.table.ids, partly=partly)
        self._lengths = (2 * orbits + 2 * elements)[self.index]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def num_atoms(self) -> Int[np.ndarray, "crystals"]:
        """About how many tokens each has, for batches of similar length."""
        return self._lengths

    def __getitem__(self, position: int) -> int:
        return int(self.index[position])

    def encode(self, _position: int, index: int, rng: np.random.Generator) -> Item:
        """A crystal of the table as the model is shown it this time."""
        lesson, target = self.lessons[index], self.table[index]
        if rng.random() < self.exchange:
            exchange = draw_exchange(lesson.shortlist, self.retriever, rng)
            other = exchanged_lesson(lesson, exchange, self.retriever) if exchange else None
            if exchange and other:
                lesson, target = other, exchange.crystal(target)
        item = shown_crystal(target, lesson, self.retriever, rng)
        if len(self.values):
            values = {number: float(column[index]) for number, column in enumerate(self.values)}
            shown = {n: value for n, value in values.items() if np.isfinite(value) and rng.random() < _PROPERTY_RATE}
            item.sequence.tokens.vectors[0] = value_vector(shown)
        if self.peaks:
            item = replace(item, peaks=shown_peaks(target.to_crystal(), self.peaks, self.peak_dropout, rng))
        return item

    def prepare(self, model: WyckoffModel) -> None:
        """Set mean, spread and range of the properties in the model; those without a value are left as they are."""
        for adapter in model.adapters:
            for place, column in enumerate(self.values[adapter.heard, self.index]):
                known = torch.from_numpy(column[np.isfinite(column)])
                if len(known):
                    adapter.mean[place] = known.mean()
                    adapter.std[place] = known.std(correction=0) + 1e-12  # one value only
                    adapter.range[place] = torch.stack([known.min(), known.max()])


def shown_crystal(target: SymmetricCrystal, lesson: Lesson, retriever: Retriever, rng: np.random.Generator) -> Item:
    """A crystal as it departs from one of the neighbours that it is aligned with, or with a new template."""
    if not len(lesson.aligned_at) or rng.random() < _NEW_TEMPLATE_RATE:
        volume = retriever.volume.predict(target.counts)
        return Item(encode(target, plain_start(target.space_group, target.numbers, target.letters, volume)), -1, lesson)
    which = int(rng.integers(len(lesson.aligned_at)))
    neighbour = int(lesson.aligned_at[which])
    substituted = retriever.substitute(lesson.shortlist, neighbour)
    source = retriever.table[int(lesson.shortlist.sources[neighbour])]
    aligned = SymmetricCrystal(
        target.space_group,
        lesson.aligned_lattice[which],
        substituted.numbers,
        substituted.letters,
        lesson.aligned_free[which],
    )
    return Item(encode(aligned, Start(substituted, source.numbers)), neighbour, lesson)


def wyckoff_encoder(network: WyckoffModel, kind: Kind, known: Path) -> SequenceEncoder:
    """Crystals that follow a neighbour among the known ones where one has their template, as in training.

    Raises:
        UserError: molecules are to be read, or the table is not there.
    """
    if kind != "crystals":
        raise UserError("this model reads crystals", got=kind)
    config, retriever = network.config, Retriever(read_table(known))

    def encoded(crystal: Crystal, rng: np.random.Generator) -> Item:
        from unigen.crystals.symmetry_finder import find_symmetric  # late: networks are used where there is no spglib

        target = find_symmetric(crystal)
        if sum(target.counts.values()) > config.max_atoms:
            raise UserError("more atoms than the model is trained on", wanted=f"<= {config.max_atoms}")
        if len(target.letters) > config.max_orbits:
            raise UserError("more orbits than the model is trained on", wanted=f"<= {config.max_orbits}")
        counts = dict(sorted(target.counts.items()))
        return shown_crystal(target, aligned_lesson(target, counts, retriever), retriever, rng)

    return SequenceEncoder(network, encoded, collate_items, lambda item: token_labels(item.sequence.tokens))


def property_values(
    dataset: str, properties: Sequence[str], ids: np.ndarray, *, partly: bool = False
) -> Float[np.ndarray, "properties rows"]:
    """Values of the crystals with these ids, NaN where they are not known.

    Args:
        dataset: that has them.
        properties: by name.
        ids: of its crystals.
        partly: whether it may lack some of the properties.

    Raises:
        UserError: a property that the dataset does not have.
    """
    if not properties:
        return np.zeros((0, len(ids)))
    crystals = open_crystals(dataset.rsplit(":", 1)[0])
    row_of = {name: row for row, name in enumerate(crystals.ids.tolist())}
    rows = np.array([row_of[name] for name in ids.tolist()])
    if not partly:
        crystals.check_properties(properties, computed=[DENSITY])
    nowhere = np.full(len(crystals), np.nan)
    columns = [
        densities(crystals) if name == DENSITY else crystals.properties.get(name, nowhere) for name in properties
    ]
    return np.stack([column[rows] for column in columns])


def collate_items(items: list[Item], most_peaks: int = 0) -> WyckoffBatch:
    """Items to a batch; of a model that hears peaks, behind these."""
    lessons = [item.lesson for item in items]
    neighbours = collate_shortlists([lesson.shortlist for lesson in lessons], [lesson.rms for lesson in lessons])
    peaks = collate_peaks([item.peaks for item in items], most_peaks) if most_peaks else None
    return collate_wyckoff([item.sequence for item in items], [item.followed for item in items], neighbours, peaks)
