"""Crystals as a wyckoff model is shown them: now following a neighbour of the same template, now written anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from unigen.crystals.symmetric import SymmetricCrystal
from unigen.data.compositions import densities
from unigen.data.crystal_store import open_dataset
from unigen.data.dataset_file import resolve_dataset
from unigen.errors import UserError
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.models.wyckoff.batch import WyckoffBatch, collate_shortlists, collate_wyckoff
from unigen.models.wyckoff.exchange import draw_exchange, exchanged_lesson
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel
from unigen.models.wyckoff.tokens import Start, WyckoffSequence, encode, plain_start
from unigen.nn.conditions.properties import value_vector
from unigen.retrieval.build_table import open_table
from unigen.retrieval.lessons import LESSONS, Lesson, Lessons, read_lessons
from unigen.retrieval.shortlist import Retriever
from unigen.shapes import Float, Int

_ASKED = 0.5
"""How often a crystal is shown with each of its properties."""

DENSITY = "density"
"""Of the cell, in g/cm^3: the property that needs no data."""

_ANEW = 0.25
"""How often a crystal is written anew although a neighbour has its template."""


@dataclass(frozen=True, eq=False)
class Item:
    """One encoded crystal, the neighbour it follows (-1: none) and its lesson."""

    sequence: WyckoffSequence
    followed: int
    lesson: Lesson


def open_wyckoff(data: DataConfig, config: WyckoffConfig) -> TrainingSet:
    """Crystals with their lessons, beside the known structures that they may follow.

    Raises:
        UserError: a dataset that is not built, without templates or lessons, or without a crystal that fits the model.
    """
    retriever = Retriever(open_table(data.retrieve_from or data.train))
    train = WyckoffItems(data.train, retriever, config, data.exchange)
    val = WyckoffItems(data.val, retriever, config)
    crystals = open_dataset(data.val)
    return TrainingSet(
        train=train,
        encode=train.encode,
        collate=collate_items,
        val=val,
        encode_val=val.encode,
        prepare=train.prepare,
        generator=lambda network: WyckoffGenerator(network, retriever, "training", score_steps=0, exclude_formula=True),
        references=crystals.select(crystals.num_atoms <= config.max_atoms),
    )


class WyckoffItems:
    """The crystals of one split that fit a model; ``items.encode(place, rng)`` gives one as it is shown.

    Args:
        dataset: ``NAME:SPLIT`` of a dataset with templates and lessons.
        retriever: over the table its neighbours come from.
        config: sizes of the model.
        exchange: share of crystals shown with one element exchanged for a similar one.

    Raises:
        UserError: no crystal fits, or a property the dataset does not have.
    """

    def __init__(self, dataset: str, retriever: Retriever, config: WyckoffConfig, exchange: float = 0.0) -> None:
        path, split = resolve_dataset(dataset)
        self.table = open_table(dataset.rsplit(":", 1)[0] if split else dataset)
        self.lessons: Lessons = read_lessons(path.with_name(LESSONS), self.table, retriever)
        self.retriever, self.exchange = retriever, exchange
        atoms = np.add.reduceat(self.table.element_counts, self.table.element_offsets[:-1])
        orbits = np.diff(self.table.offsets)
        fits = (atoms <= config.max_atoms) & (orbits <= config.max_orbits)
        self.index: Int[np.ndarray, "crystals"] = np.flatnonzero(fits & ((self.table.split == split) | (split is None)))
        if not len(self.index):
            raise UserError("no crystal fits the model", where=dataset, wanted=f"<= {config.max_atoms} atoms")
        elements = np.diff(self.table.element_offsets)
        self.values = known_values(dataset, config.properties, self.table.ids)
        self._lengths = (2 * orbits + 2 * elements)[self.index]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def num_atoms(self) -> Int[np.ndarray, "crystals"]:
        """About how many tokens each has, for batches of similar length."""
        return self._lengths

    def __getitem__(self, place: int) -> int:
        return int(self.index[place])

    def encode(self, _place: int, index: int, rng: np.random.Generator) -> Item:
        """A crystal of the table as the model is shown it this time."""
        item = self._encoded(index, rng)
        item.sequence.tokens.vectors[0] = value_vector(self._asked(index, rng)) if len(self.values) else 0.0
        return item

    def _asked(self, index: int, rng: np.random.Generator) -> dict[int, float]:
        """Some of the properties, each with even chance; none one time in four where there are two."""
        known = {number: float(values[index]) for number, values in enumerate(self.values)}
        return {number: value for number, value in known.items() if np.isfinite(value) and rng.random() < _ASKED}

    def prepare(self, model: WyckoffModel) -> None:
        """Tell the model mean, spread and range of the properties."""
        adapter = model.adapter
        if adapter is not None:
            values = self.values[:, self.index]
            adapter.mean.copy_(torch.from_numpy(np.nanmean(values, axis=1)))
            adapter.std.copy_(torch.from_numpy(np.nanstd(values, axis=1) + 1e-12))
            adapter.range.copy_(torch.from_numpy(np.stack([np.nanmin(values, axis=1), np.nanmax(values, axis=1)], 1)))

    def _encoded(self, index: int, rng: np.random.Generator) -> Item:
        lesson, target = self._shown(self.lessons[index], self.table[index], rng)
        if len(lesson.aligned_at) and rng.random() >= _ANEW:
            which = int(rng.integers(len(lesson.aligned_at)))
            return self._following(target, lesson, which)
        volume = self.retriever.volume.predict(target.counts)
        start = plain_start(target.space_group, target.numbers, target.letters, volume)
        return Item(encode(target, start), -1, lesson)

    def _shown(
        self, lesson: Lesson, target: SymmetricCrystal, rng: np.random.Generator
    ) -> tuple[Lesson, SymmetricCrystal]:
        """As they are, or after an exchange."""
        if rng.random() >= self.exchange:
            return lesson, target
        exchange = draw_exchange(lesson.shortlist, self.retriever, rng)
        other = exchanged_lesson(lesson, exchange, self.retriever) if exchange else None
        return (other, exchange.crystal(target)) if exchange and other else (lesson, target)

    def _following(self, target: SymmetricCrystal, lesson: Lesson, which: int) -> Item:
        neighbour = int(lesson.aligned_at[which])
        begin = self.retriever.substitute(lesson.shortlist, neighbour)
        source = self.retriever.table[int(lesson.shortlist.sources[neighbour])]
        aligned = SymmetricCrystal(
            target.space_group,
            lesson.aligned_lattice[which],
            begin.numbers,
            begin.letters,
            lesson.aligned_free[which],
        )
        return Item(encode(aligned, Start(begin, source.numbers)), neighbour, lesson)


def known_values(dataset: str, properties: Sequence[str], ids: np.ndarray) -> Float[np.ndarray, "properties rows"]:
    """Values of the crystals with these ids, NaN where they are not known.

    Raises:
        UserError: a property that the dataset does not have.
    """
    if not properties:
        return np.zeros((0, len(ids)))
    crystals = open_dataset(dataset.rsplit(":", 1)[0])
    place = {name: row for row, name in enumerate(crystals.ids.tolist())}
    rows = np.array([place[name] for name in ids.tolist()])
    missing = [name for name in properties if name not in crystals.properties and name != DENSITY]
    if missing:
        known = sorted([*crystals.properties, DENSITY])
        raise UserError(f"{dataset} has no property {missing[0]!r}", wanted=f"some of {known}")
    columns = [densities(crystals) if name == DENSITY else crystals.properties[name] for name in properties]
    return np.stack([column[rows] for column in columns])


def collate_items(items: list[Item]) -> WyckoffBatch:
    """Items to a batch."""
    lessons = [item.lesson for item in items]
    neighbours = collate_shortlists([lesson.shortlist for lesson in lessons], [lesson.rms for lesson in lessons])
    return collate_wyckoff([item.sequence for item in items], [item.followed for item in items], neighbours)
