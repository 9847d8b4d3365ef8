"""Milliseconds a molecule to draw octrees in a batch with cached states, against two other ways in the same run.

python eval/speed/octree_decoding.py --molecules 64

"one by one": the same decoder, a batch of one molecule at a time. "whole forward": what one writes first, the backbone
over the whole sequence for every token of the batch; only its forward passes are counted, over what the cached decoder
drew, so its true price is higher. They take turns on one core with an untrained model of the size of
configs/octree.yaml; of each the least CPU time counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measurement import HERE, circumstances, write

from unigen.config import load
from unigen.data.molecule_store import open_molecules
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.decoding import Drawn, Noise, OctreeSettings, decode
from unigen.models.octree.network import OctreeModel
from unigen.models.octree.tokens import decode as decode_octrees
from unigen.train.settings import TrainConfig


def noise_of(model: OctreeModel, rows: range) -> Noise:
    """Each molecule's own random numbers."""
    rngs = [np.random.default_rng([0, row]) for row in rows]
    return Noise.of(rngs, model.grid, model.config.max_atoms, torch.device("cpu"))


def whole_forwards(model: OctreeModel, drawn: Drawn) -> Callable[[], None]:
    """The backbone over all tokens so far, as often as the longest row has tokens."""
    numbers, coords = decode_octrees(model.grid, drawn.octrees)
    lengths = drawn.octrees.leaf_lengths.tolist()
    torus = replace(model.grid, periodic=True)  # where nothing is anchored: the trees are those that were drawn
    parts = zip(numbers.split(lengths), (coords / model.grid.side).split(lengths), strict=True)
    batch = collate_octrees(torus, [OctreeItem(part.numpy(), places.numpy()) for part, places in parts])
    first, last = int((batch.lengths - drawn.octrees.lengths).min()), int(batch.lengths.max())

    @torch.no_grad()
    def run() -> None:
        for end in range(first, last):
            tokens = replace(batch.tokens, **{name: getattr(batch.tokens, name)[:, :end] for name in _WIDE})
            cut = {name: getattr(batch, name)[:, :end] for name in vars(batch) if name != "tokens"}
            model.hidden(replace(batch, tokens=replace(tokens, lengths=tokens.lengths.clamp(max=end)), **cut))

    return run


_WIDE = ("symbols", "vectors", "channel", "descriptor")
"""Fields of tokens that have a column a token."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--dataset", default="qm9:test")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    torch.manual_seed(0)
    config = load(TrainConfig, Path(HERE).parents[1] / "configs" / "octree.yaml").model
    model = OctreeModel(config).eval()
    dataset = open_molecules(options.dataset)
    compositions = [dataset[index].counts for index in range(options.molecules)]
    settings = OctreeSettings()

    def together() -> Drawn:
        return decode(model, compositions, noise_of(model, range(len(compositions))), settings)

    def one_by_one() -> None:
        for row, composition in enumerate(compositions):
            decode(model, [composition], noise_of(model, range(row, row + 1)), settings)

    drawn = together()
    ways = {"batch": together, "one_by_one": one_by_one, "whole_forward": whole_forwards(model, drawn)}
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(options.turns):
        for way, work in ways.items():
            started = time.process_time()
            work()
            least[way] = min(least[way], time.process_time() - started)
    milli = {way: seconds / len(compositions) * 1e3 for way, seconds in least.items()}
    case = {f"{way}_ms": round(value, 2) for way, value in milli.items()} | {
        f"{way}_to_batch": round(milli[way] / milli["batch"], 1) for way in ("one_by_one", "whole_forward")
    }
    case |= {"tokens": round(float(drawn.octrees.lengths.double().mean()), 1)}
    print(case)
    size = {"molecules": len(compositions), "dataset": options.dataset, "turns": options.turns}
    write("octree_decoding", facts | size | {"unit": "CPU-milliseconds a molecule, least of all turns", "case": case})


if __name__ == "__main__":
    main()
