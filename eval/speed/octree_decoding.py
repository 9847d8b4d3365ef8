"""Milliseconds a molecule to draw octrees in a batch with cached states, against other ways in the same run.

python eval/speed/octree_decoding.py --molecules 128 --model runs/octree/model

"one by one": the same decoder, a batch of one molecule at a time. "whole forward": what one writes first, the backbone
over the whole sequence for every token of the batch; only its forward passes are counted, over what the cached decoder
drew, so its true price is higher. "draft": guesses of so many tokens of each row, read in one pass, in batches of
several sizes; what they save depends on how often the model agrees with a guess, which weights that are trained tell.
Without ``--model`` the weights are random, of the size of configs/octree.yaml.

All take turns on one core; of each way the least CPU time counts, of two ways the median of the turns' ratios.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from measurement import HERE, circumstances, write

from unigen.config import load
from unigen.data.molecule_store import open_molecules
from unigen.models.checkpoint import load_model
from unigen.models.octree.batch import OctreeItem, collate_octrees
from unigen.models.octree.decoding import Counts, Drawn, OctreeSettings, decode
from unigen.models.octree.network import OctreeModel, OctreeSizes
from unigen.models.octree.token_draws import Noise
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


def in_turns(ways: dict[str, Callable[[], object]], turns: int) -> dict[str, list[float]]:
    """CPU-seconds of every turn of each way; the ways of a turn run one after the other."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, work in ways.items():
            started = time.process_time()
            work()
            seconds[way].append(time.process_time() - started)
    return seconds


def ratio(seconds: dict[str, list[float]], way: str, to: str) -> float:
    """Median over the turns."""
    return round(statistics.median(a / b for a, b in zip(seconds[way], seconds[to], strict=True)), 2)


class Batches:
    """Molecules drawn some at a time.

    Args:
        model: that draws.
        compositions: of the molecules.
        rows: of a batch.
        settings: how to draw.
    """

    def __init__(
        self, model: OctreeModel, compositions: list[Counts], rows: int, settings: OctreeSettings | None = None
    ) -> None:
        self.model, self.compositions, self.rows = model, compositions, rows
        self.settings = settings or OctreeSettings()
        self.passes = 0

    def __call__(self) -> None:
        """Draw all, and count passes of the backbone."""
        self.passes = 0
        for start in range(0, len(self.compositions), self.rows):
            batch = self.compositions[start : start + self.rows]
            noise = noise_of(self.model, range(start, start + len(batch)))
            self.passes += decode(self.model, batch, noise, self.settings).passes


def drafts(model: OctreeModel, compositions: list[Counts], turns: int) -> list[dict[str, object]]:
    """What guesses save, by rows of a batch."""
    cases: list[dict[str, object]] = []
    for rows in (1, 16, 128):
        some = compositions[: max(rows, 16)]
        tokens = {"plain": 1, "4": 4 * rows, "8": 8 * rows, "all": 1000 * rows, "default": OctreeSettings().draft}
        ways = {name: Batches(model, some, rows, OctreeSettings(draft=draft)) for name, draft in tokens.items()}
        seconds = in_turns({**ways}, turns)
        for name, way in ways.items():
            case: dict[str, object] = {"rows": rows, "draft": name}
            case |= {"ms": round(min(seconds[name]) / len(some) * 1e3, 2), "to_plain": ratio(seconds, name, "plain")}
            case["passes_to_plain"] = round(way.passes / ways["plain"].passes, 3)
            print(case, flush=True)
            cases.append(case)
    return cases


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--molecules", type=int, default=64)
    parser.add_argument("--dataset", default="qm9:test")
    parser.add_argument("--model", type=Path, help="folder of trained weights; without it they are random")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    torch.manual_seed(0)
    if options.model:
        network = load_model(options.model)
        assert isinstance(network, OctreeModel), "an octree model is wanted"
        model = network.eval()
    else:
        config = load(TrainConfig, Path(HERE).parents[1] / "configs" / "octree.yaml").model
        assert isinstance(config, OctreeSizes)
        model = OctreeModel(config).eval()
    dataset = open_molecules(options.dataset)
    compositions = [dataset[index].counts for index in range(max(options.molecules, 128))]
    some = compositions[: options.molecules]
    together, one_by_one = Batches(model, some, len(some)), Batches(model, some, 1)
    drawn = decode(model, some, noise_of(model, range(len(some))), OctreeSettings(draft=1))
    ways = {"batch": together, "one_by_one": one_by_one, "whole_forward": whole_forwards(model, drawn)}
    seconds = in_turns({**ways}, options.turns)
    milli = {way: min(each) / len(some) * 1e3 for way, each in seconds.items()}
    case = {f"{way}_ms": round(value, 2) for way, value in milli.items()} | {
        f"{way}_to_batch": round(milli[way] / milli["batch"], 1) for way in ("one_by_one", "whole_forward")
    }
    case |= {"tokens": round(float(drawn.octrees.lengths.double().mean()), 1)}
    print(case, flush=True)
    found = {"case": case, "drafts": drafts(model, compositions, options.turns)}
    size = {"molecules": len(some), "dataset": options.dataset, "turns": options.turns}
    size |= {"weights": "trained" if options.model else "random"}
    unit = "CPU-milliseconds a molecule, least of all turns; ratios of drafts: median of the turns"
    write("octree_decoding", facts | size | {"unit": unit} | found)


if __name__ == "__main__":
    main()
