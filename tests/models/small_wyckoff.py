"""A small wyckoff model with random weights, and batches of real crystals that follow neighbours or none."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch

from tests.retrieval.known_templates import retriever, table
from unigen.crystals.symmetric import align
from unigen.models.wyckoff.batch import WyckoffBatch
from unigen.models.wyckoff.items import Item, collate_items
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel
from unigen.models.wyckoff.tokens import Start, encode, plain_start
from unigen.retrieval.lessons import Lesson

SIZES = {"max_atoms": 24, "mixers": ("attention",) * 2, "width": 32, "heads": 2, "head_width": 16, "head_blocks": 2}
RERANKER = {"reranker_width": 16, "reranker_layers": 1}


def small_wyckoff(seed: int = 0, **changes: object) -> WyckoffModel:
    torch.manual_seed(seed)
    model = WyckoffModel(WyckoffConfig(kind="wyckoff", **(SIZES | RERANKER | changes))).eval()
    for head in (model.lattice_head, model.site_head):
        torch.nn.init.normal_(head.stack.to_output.weight, std=0.1)
    return model


@cache
def item(row: int, *, copied: bool) -> Item:
    """A crystal of the table, following the nearest neighbour of its template if there is one and if it may."""
    target, known = table()[row], retriever()
    found = known.shortlist(target.counts, exclude_formula=True)
    aligned = [(at, align(target, known.substitute(found, at))) for at in range(len(found))]
    at, crystal = next(((at, crystal) for at, crystal in aligned if crystal is not None), (-1, None))
    rms = np.where(np.arange(len(found.representatives)) % 3 == 1, 0.05 * np.arange(len(found.representatives)), np.nan)
    lesson = Lesson(found, rms, np.zeros(0, dtype=np.int64), np.zeros((0, 6)), np.zeros((0, 0, 3)))
    if copied and crystal is not None:
        start = Start(known.substitute(found, at), known.table[int(found.sources[at])].numbers)
        return Item(encode(crystal, start), at, lesson)
    start = plain_start(target.space_group, target.numbers, target.letters, float(table().volume[row]))
    return Item(encode(target, start), -1, lesson)


def some_items(count: int = 10) -> list[Item]:
    """Every other one follows nobody."""
    return [item(7 * place, copied=place % 2 == 0) for place in range(count)]


def batch_of(items: list[Item]) -> WyckoffBatch:
    return collate_items(items)


def rows_of(batch, rows: list[int]):
    """Some rows of a batch, as wide as they were."""
    return batch.select(torch.tensor(rows))
