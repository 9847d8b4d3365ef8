"""Which encoder, and which readout, tells most of a molecule? The same CPU time each.

python eval/ablation/encoders.py --steps 1800 --out encoders.json

Six properties of QM9 by small predictors of the family ``property`` (``configs/predict-crystals.yaml``, of molecules),
trained from nothing. Message passing takes ``--steps`` steps, anything else as many as take the same CPU time, which is
measured first, all in turns on the same structures (as in ``mixers.py``). What is summed (alpha, Cv) is summed in all;
the others are pooled by attention, or, where it says so, folded by a learned monoid. Judged by the mean absolute error
of each on 2,000 validation molecules, the same ones for all; ``mean`` is that of the six in standard deviations of the
training molecules. No number here is that of a bundled model. A run that is cut off goes on with what its file lacks.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mixers import CONFIGS, begun, costs, fill, table
from rich.console import Console

from unigen.config import load as load_config
from unigen.data.molecule_store import open_molecules
from unigen.sample.predict import load_predictor
from unigen.train.run import train
from unigen.train.settings import TrainConfig

MEV = 27_211.386
"""Of a hartree."""
UNITS = {
    "alpha": ("bohr^3", 1.0),
    "gap": ("meV", MEV),
    "homo": ("meV", MEV),
    "lumo": ("meV", MEV),
    "mu": ("D", 1.0),
    "Cv": ("cal/(mol K)", 1.0),
}
"""Of each property, what its errors are told in, and how many of these a unit of the data has."""
SUMMED = ("alpha", "Cv")
JUDGED = 2000
ENCODERS = {
    "message_passing": "{kind: message_passing, width: 96, layers: 3, radial: 24, cutoff: 5.0}",
    "frame_averaging": "{kind: frame_averaging, width: 96, layers: 3, heads: 4, radial: 24, cutoff: 5.0}",
    "spectral": "{kind: frame_averaging, width: 96, layers: 3, heads: 4, radial: 24, cutoff: 5.0, positional: 8}",
    "equivariant": "{kind: equivariant, width: 64, layers: 3, radial: 16, cutoff: 5.0}",
}
VARIANTS = {
    "message passing": ("message_passing", "attention"),
    "message passing, monoid": ("message_passing", "monoid"),
    "frame averaging": ("frame_averaging", "attention"),
    "frame averaging, spectral positions": ("spectral", "attention"),
    "equivariant": ("equivariant", "attention"),
}
"""An encoder, and how what is not summed is pooled."""
_ALL = (
    *("model.structures=molecules", "model.auxiliary=[]", "data.train=qm9:train", "data.val=qm9:val"),
    *("optim.warmup_steps=50", "optim.ema_decay=0.99", "threads=1"),
)
"""One thread, so that CPU time is what the arithmetic takes; an average over fewer steps, as there are fewer."""
PROBES = 24
"""Batches on which the cost of a step is measured."""


def config_of(name: str, changes: Sequence[str] = ()) -> TrainConfig:
    """How a variant is trained."""
    encoder, pooling = VARIANTS[name]
    pooled = ", ".join(f"{each}: {'sum' if each in SUMMED else pooling}" for each in UNITS)
    units = ", ".join(f"{each}: {'hartree' if unit == 'meV' else unit}" for each, (unit, _) in UNITS.items())
    model = [f"model.encoder={ENCODERS[encoder]}", f"model.properties={{{pooled}}}", f"model.units={{{units}}}"]
    return load_config(TrainConfig, CONFIGS / "predict-crystals.yaml", [*_ALL, *model, *changes])


def errors(folder: Path, train_set: str, val_set: str) -> dict[str, float]:
    """Mean absolute errors on validation molecules, and their mean in standard deviations of the training set."""
    judged = open_molecules(val_set)
    chosen = np.sort(np.random.default_rng(0).permutation(len(judged))[:JUDGED])
    judged = judged.select(np.isin(np.arange(len(judged)), chosen))
    predictor = load_predictor(folder)
    wrong = np.abs(predictor(list(judged)) - judged.values_of(list(predictor.properties))).mean(0)
    spread = open_molecules(train_set).values_of(list(predictor.properties)).std(0)
    found = {"mean": round(float((wrong / spread).mean()), 4)}
    for name, mae in zip(predictor.properties, wrong.tolist(), strict=True):
        unit, many = UNITS[name]
        found[f"{name}, {unit}"] = round(mae * many, 4)
    return found


def trained(name: str, steps: int, seed: int) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away, and how far off it is."""
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(name, [f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}/run"])
        start = time.process_time()
        made = train(config)
        taken = round(time.process_time() - start, 1)  # with the error bars, of all validation molecules
        return {"steps": steps, "cpu_seconds": taken} | errors(made, config.data.train, config.data.val)


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1800, help="of message passing")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content = begun(options.out, {"steps": options.steps})
    if "cost_of_a_step" not in content:
        content |= {"cost_of_a_step": costs({name: config_of(name) for name in VARIANTS}, PROBES), "runs": {}}
        print(content["cost_of_a_step"], flush=True)

    def run(name: str, seed: int) -> dict[str, Any]:
        return trained(name, round(content["steps"] / content["cost_of_a_step"][name]), seed)

    fill(options.out, content, VARIANTS, options.seeds, run)
    Console(width=200).print(table(VARIANTS, content["runs"]))


if __name__ == "__main__":
    main()
