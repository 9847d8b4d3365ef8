"""Training tokens a second at the size of unigen-crystal-small: compiled, not compiled, and one structure a step.

python eval/speed/train.py --data oqmd-icsd

A step is what `unigen train` does between two log lines: encode, collate, losses, gradients, clip, AdamW. Compiling
takes a minute or two beforehand and is reported apart.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from measurement import circumstances, write

from unigen.batch import TokenBatch
from unigen.config import load
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.models.words.network import Autoregressive
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import collate
from unigen.train.batches import StepBatches
from unigen.train.optim import build_optimizer
from unigen.train.settings import TrainConfig

CONFIG = Path(__file__).parents[2] / "configs" / "crystal-small.yaml"
CRYSTALS = 5000
STEPS = {"compiled": 24, "eager": 24, "batch of one": 60}
WARM_UP = 12


def batches(config: TrainConfig, dataset: CrystalDataset, batch_size: int) -> Iterator[TokenBatch]:
    """As in training."""
    tokenizer = WordsTokenizer(config.model.max_atoms)
    return iter(
        StepBatches(
            dataset,
            lambda _, crystal, rng: tokenizer.encode(crystal, rng),
            collate,
            batch_size=batch_size,
            bucket=config.data.bucket,
            seed=config.seed,
            first_step=0,
            rank=0,
            world=1,
        )
    )


def measure(config: TrainConfig, dataset: CrystalDataset, name: str) -> dict[str, float]:
    """Tokens and structures a second of one way to train, after a few steps that are not counted."""
    torch.manual_seed(config.seed)
    model = Autoregressive(config.model)
    if name == "compiled":
        for part in model.large_parts():
            part.compile(dynamic=True)
    optimizer = build_optimizer(model, config.optim)
    generator = torch.Generator().manual_seed(config.seed)
    size = 1 if name == "batch of one" else config.data.batch_size
    tokens, begun = 0, time.perf_counter()
    started = begun
    for step, batch in zip(range(WARM_UP + STEPS[name]), batches(config, dataset, size), strict=False):
        if step == WARM_UP:
            tokens, started = 0, time.perf_counter()
        losses = model.losses(batch, generator)
        (config.optim.symbol_weight * losses["symbol"] + losses["lattice"] + losses["site"]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
        optimizer.step()
        optimizer.zero_grad()
        tokens += int(batch.lengths.sum())
    seconds = time.perf_counter() - started
    return {
        "tokens_per_second": round(tokens / seconds, 1),
        "crystals_per_second": round(size * STEPS[name] / seconds, 1),
        "steps": STEPS[name],
        "seconds_before": round(started - begun, 1),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="oqmd-icsd", help="a built dataset")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    config = load(TrainConfig, CONFIG)
    dataset = open_crystals(chosen.data)
    fitting = np.flatnonzero(dataset.num_atoms <= config.model.max_atoms)
    dataset = dataset.select(np.random.default_rng(0).permutation(fitting)[:CRYSTALS])
    facts = circumstances(chosen.threads)
    found = {}
    for name in STEPS:
        found[name] = measure(config, dataset, name)
        print(f"{name:13s} {found[name]['tokens_per_second']:9.1f} tokens a second", flush=True)
    speed = {name: each["tokens_per_second"] for name, each in found.items()}
    ratios = {
        "compiled_over_eager": round(speed["compiled"] / speed["eager"], 2),
        "compiled_over_batch_of_one": round(speed["compiled"] / speed["batch of one"], 2),
    }
    print(ratios)
    model = sum(parameter.numel() for parameter in Autoregressive(config.model).parameters())
    write(
        "train",
        facts | {"data": chosen.data, "parameters": model, "batch_size": config.data.batch_size} | found | ratios,
    )


if __name__ == "__main__":
    main()
