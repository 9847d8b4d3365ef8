"""What is an octree backbone worth to a predictor, from nothing, and pre-trained without values? Equal CPU time.

python eval/ablation/octree_pretraining.py --steps 600 --out octree-pretraining.json

Six properties of QM9, of which 10,000 training molecules have values, by small predictors (``kind: octree-property``,
four layers, width 96) that begin from nothing, with an octree model that was trained to generate (each token told from
those before it), or with one that tells hidden leaves from all others (half of them). These two see all training
molecules, without values, for as much CPU time as the predictor then takes; so a row from nothing that takes twice the
time stands beside them. What a step costs is measured first, all in turns (as in ``mixers.py``). Beside it a predictor
of the graph of atoms (message passing). Judged on 2,000 validation molecules as in ``encoders.py``; ``turned``: how far
what is told of 300 of them moves when they are turned at random, mean over the six in standard deviations.

The datasets and pre-trained models lie beside the results; a run that is cut off goes on with what its file lacks.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from encoders import SUMMED, UNITS, errors
from encoders import config_of as graph_config
from mixers import CONFIGS, begun, costs, fill, table
from rich.console import Console

from unigen.config import load as load_config
from unigen.data.dataset_file import resolve_dataset
from unigen.data.molecule_store import open_molecules
from unigen.geometry.rotation import random_rotation
from unigen.sample.predict import load_predictor
from unigen.train.run import train
from unigen.train.settings import TrainConfig

LABELLED, JUDGED, TURNED = 10_000, 2_000, 300
"""Molecules of training and of validation."""
HIDDEN = 0.5
"""Share of the leaves, in masked pre-training."""
_SIZES = ("mixers=[attention, attention, attention, attention]", "width=96", "heads=4", "head_width=96")
_ALL = (
    *("compile=false", "threads=1", "data.batch_size=32", "optim.warmup_steps=50", "optim.ema_decay=0.99"),
    "match_structures=0",
)
"""One thread, so that CPU time is what the arithmetic takes; an average over fewer steps, as there are fewer."""
BEFORE = {"generative": 0.0, "masked": HIDDEN}
"""Ways of pre-training, and the share of leaves that is hidden."""
GRAPH = "message passing"


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row.

    Attributes:
        before: what it begins with; None: nothing.
        looks_ahead: whether every token sees all others.
        rotate: whether molecules are turned at random in training, not seen along their principal axes.
        times: so much CPU time.
    """

    before: str | None = None
    looks_ahead: bool = True
    rotate: bool = False
    times: int = 1

    @property
    def probe(self) -> str:
        """Whose step costs as much."""
        return "sees all" if self.looks_ahead else "sees what is before"


VARIANTS: dict[str, Variant | None] = {
    "from nothing": Variant(),
    "from nothing, twice the time": Variant(times=2),
    "masked": Variant(before="masked"),
    "generative": Variant(before="generative"),
    "generative, sees what is before": Variant(before="generative", looks_ahead=False),
    GRAPH: None,
    "from nothing, turned at random": Variant(rotate=True),
    "from nothing, sees what is before": Variant(looks_ahead=False),
}
PROBES = 16
"""Batches on which the cost of a step is measured."""


def datasets(beside: Path) -> tuple[Path, Path]:
    """The molecules that have values, and those to judge with, drawn once."""
    files = tuple(beside.with_name(f"{beside.stem}-{name}.parquet") for name in ("train", "val"))
    for file, split, count in zip(files, ("train", "val"), (LABELLED, JUDGED), strict=True):
        if not file.exists():
            rows = pq.read_table(resolve_dataset("qm9", "molecules")[0])
            rows = rows.filter(pc.equal(rows["split"], split))
            pq.write_table(rows.take(np.sort(np.random.default_rng(0).permutation(len(rows))[:count])), file)
    return files[0], files[1]


def before_config(name: str, changes: Sequence[str] = ()) -> TrainConfig:
    """How an octree model is pre-trained."""
    sizes = [f"model.{size}" for size in (*_SIZES, f"masked={BEFORE[name]}")]
    return load_config(TrainConfig, CONFIGS / "octree.yaml", [*_ALL, *sizes, *changes])


def config_of(variant: Variant, files: tuple[Path, Path], changes: Sequence[str] = ()) -> TrainConfig:
    """How a predictor is trained."""
    pooled = ", ".join(f"{each}: {'sum' if each in SUMMED else 'attention'}" for each in UNITS)
    units = ", ".join(f"{each}: {'hartree' if unit == 'meV' else unit}" for each, (unit, _) in UNITS.items())
    model = [f"model.properties={{{pooled}}}", f"model.units={{{units}}}"]
    model += [f"model.octree.{size}" for size in _SIZES] + [f"model.looks_ahead={str(variant.looks_ahead).lower()}"]
    data = [f"data.train={files[0]}", f"data.val={files[1]}", f"data.rotate={str(variant.rotate).lower()}"]
    return load_config(TrainConfig, CONFIGS / "octree-property.yaml", [*_ALL, *model, *data, *changes])


def movement(folder: Path, file: Path) -> float:
    """How far what is told moves when molecules are turned, in standard deviations."""
    rng, predictor = np.random.default_rng(1), load_predictor(folder)
    dataset = open_molecules(str(file))
    molecules = [dataset[row] for row in range(TURNED)]
    turned = [replace(each, positions=each.positions @ random_rotation(rng)) for each in molecules]
    moved = np.abs(predictor(molecules) - predictor(turned)).mean(0)
    return float((moved / dataset.values_of(list(predictor.properties)).std(0)).mean())


def timed(config: TrainConfig) -> tuple[Path, float]:
    """A trained model, and the CPU time that it took, error bars included."""
    start = time.process_time()
    return train(config), round(time.process_time() - start, 1)


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=600, help="of a predictor that sees all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    files = datasets(options.out)
    content = begun(options.out, {"steps": options.steps})
    graph = [f"data.train={files[0]}", f"data.val={files[1]}"]
    if "cost_of_a_step" not in content:
        predictors = {each.probe: config_of(each, files) for each in (Variant(), Variant(looks_ahead=False))}
        measured = predictors | {name: before_config(name) for name in BEFORE} | {GRAPH: graph_config(GRAPH, graph)}
        content |= {"cost_of_a_step": costs(measured, PROBES), "runs": {}}
        print(content["cost_of_a_step"], flush=True)

    def steps_of(probe: str, times: int = 1) -> int:
        return round(times * content["steps"] / content["cost_of_a_step"][probe])

    def run(name: str, seed: int) -> dict[str, Any]:
        variant, told = VARIANTS[name], {}
        fixed = [f"seed={seed}"]
        if variant is not None and variant.before is not None:
            made, taken = pretrained(variant.before, seed)
            fixed.append(f"start_from={made}")
            told["cpu_seconds_before"] = taken
        with tempfile.TemporaryDirectory() as folder:
            steps = steps_of(GRAPH) if variant is None else steps_of(variant.probe, variant.times)
            fixed += [f"max_steps={steps}", f"validate_every={steps}", f"out={folder}/run"]
            config = graph_config(name, [*graph, *fixed]) if variant is None else config_of(variant, files, fixed)
            made, taken = timed(config)
            found = errors(made, "qm9:train", str(files[1]))
            return told | {"steps": steps, "cpu_seconds": taken} | found | {"turned": movement(made, files[1])}

    def pretrained(name: str, seed: int) -> tuple[Path, float]:
        steps, folder = steps_of(name), options.out.with_name(f"{options.out.stem}-{name}-{seed}")
        seconds = folder / "cpu_seconds"
        if not seconds.exists():
            shutil.rmtree(folder, ignore_errors=True)
            fixed = [f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}"]
            seconds.write_text(str(timed(before_config(name, fixed))[1]))
        return folder / "model", float(seconds.read_text())

    fill(options.out, content, VARIANTS, options.seeds, run)
    Console(width=200).print(table(VARIANTS, content["runs"]))


if __name__ == "__main__":
    main()
