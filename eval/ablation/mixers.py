"""Which pattern of mixers serves crystals and molecules? As many parameters, as much CPU time, three seeds each.

python eval/ablation/mixers.py crystals --out mixers-crystals.json
python eval/ablation/mixers.py molecules --out mixers-molecules.json

Small models of the bundled families (``configs/crystal-small.yaml`` and ``configs/qm9.yaml``, smaller as said below),
trained from nothing. The width of every pattern gives its backbone about as many parameters as attention has;
attention takes ``--steps`` steps, any other pattern as many as take the same CPU time. What a step costs is measured
first, all patterns in turns on the same batches, and kept in the file (``--out``): so the machine may be busy with
other things meanwhile. A run that is cut off goes on with what its file lacks.

Crystals are judged by the validation losses of what they write (nats a symbol) and draw (denoising loss of lattice and
sites), and by 500 of MP-20 test, one sample each: as users get it, following a known structure, and anew, where the
backbone writes all of it. Molecules by the same losses, and by 1,000 of them from nothing (EDM's look-up, redrawn
nowhere). No number here is that of a bundled model, which is larger and trained for longer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from run import last_validation

from unigen.config import load as load_config
from unigen.data.crystal_store import open_crystals
from unigen.disk import write_text
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.report import provenance
from unigen.models.families import build_model, open_training_set
from unigen.models.generator import Generator
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import Layer
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.sample.generate import generate
from unigen.sample.load import load
from unigen.train.batches import StepBatches
from unigen.train.optim import build_optimizer
from unigen.train.run import train
from unigen.train.settings import TrainConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
LAYERS, WIDTH, HEADS = 4, 96, 4
PATTERNS: dict[str, tuple[str, ...]] = {
    "attention": ("attention",) * LAYERS,
    "ssd": ("ssd",) * LAYERS,
    "delta_product": ("delta_product",) * LAYERS,
    "ssd, attention last": ("ssd",) * (LAYERS - 1) + ("attention",),
    "delta_product, attention last": ("delta_product",) * (LAYERS - 1) + ("attention",),
}
_ALL = (
    *("compile=false", "threads=1", "data.batch_size=32", "optim.warmup_steps=50", "optim.ema_decay=0.99"),
    *("model.head_width=96", "model.head_blocks=2", "match_structures=0"),
)
"""One thread, so that CPU time is what the arithmetic takes; an average over fewer steps, as there are fewer."""
SMALL = {
    "crystals": ("crystal-small.yaml", (*_ALL, "model.reranker_width=48")),
    "molecules": ("qm9.yaml", _ALL),
}
"""Which config, and what is smaller than there."""
JUDGED = {"crystals": 500, "molecules": 1000}
_PROBES = 12
"""Batches on which the cost of a step is measured: the median of their ratios to attention's is known to 2 %."""


def validation_batches(config: TrainConfig, count: int) -> Iterator[Any]:
    """So many validation structures in a fixed order, encoded in a fixed way: every model is shown the same ones."""
    data, size = open_training_set(config.data, config.model), config.data.batch_size
    chosen = np.random.default_rng(0).permutation(len(data.val))[:count].tolist()
    for start in range(0, count, size):
        rows = chosen[start : start + size]
        yield data.collate([data.encode_val(row, data.val[row], np.random.default_rng([1, row])) for row in rows])


def parameters_of(pattern: Sequence[Layer], width: int) -> int:
    """Of the backbone."""
    return sum(each.numel() for each in Backbone(tuple(pattern), width, HEADS, 0.0).parameters())


def equal_width(pattern: Sequence[Layer], wanted: int) -> int:
    """The width, in eights so that every head is even, with which a pattern has about so many parameters."""
    return min(range(32, 2 * WIDTH + 1, 8), key=lambda width: abs(parameters_of(pattern, width) - wanted))


def width_of(name: str) -> int:
    """Of a pattern, by its name."""
    return equal_width(PATTERNS[name], parameters_of(PATTERNS["attention"], WIDTH))


def config_of(kind: str, name: str, changes: Sequence[str] = ()) -> TrainConfig:
    """How a pattern is trained."""
    path, small = SMALL[kind]
    sizes = [f"model.mixers=[{', '.join(PATTERNS[name])}]", f"model.width={width_of(name)}", f"model.heads={HEADS}"]
    return load_config(TrainConfig, CONFIGS / path, [*small, *sizes, *changes])


def costs(configs: Mapping[str, TrainConfig], probes: int = _PROBES) -> dict[str, float]:
    """CPU time of a training step, encoding included, in those of the first: the median over the same batches."""
    steps = {}
    for name, config in configs.items():
        data = open_training_set(config.data, config.model)
        torch.manual_seed(0)
        model = build_model(config.model)
        data.prepare(model)
        sizes = {"batch_size": config.data.batch_size, "bucket": config.data.bucket, "seed": 0}
        batches = iter(StepBatches(data.train, data.encode, data.collate, **sizes))
        steps[name] = (model, build_optimizer(model, config.optim), batches, torch.Generator().manual_seed(0))
    seconds: dict[str, list[float]] = {name: [] for name in configs}
    for _, name in product(range(probes), configs):
        model, optimizer, batches, generator = steps[name]
        start = time.process_time()
        torch.stack(list(model.losses(next(batches), generator).values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        seconds[name].append(time.process_time() - start)
    first = next(iter(seconds.values()))
    return {
        name: round(statistics.median(a / b for a, b in zip(taken[1:], first[1:], strict=True)), 3)
        for name, taken in seconds.items()  # the first step allocates
    }


def match_rate(generator: Generator, seed: int) -> tuple[float, float]:
    """One sample of each of 500 compositions of MP-20 test: percent that match, and their RMSE."""
    references = open_crystals("mp-20:test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(references))[: JUDGED["crystals"]])
    references = references.select(np.isin(np.arange(len(references)), chosen))
    crystals, ids = list(references), references.ids.tolist()
    requests = [CrystalRequest(formula=crystal.formula, n_atoms=len(crystal)) for crystal in crystals]
    drawn = generate(requests, model=generator, seed=seed, workers=1)
    samples = [
        CrystalEntry(key, sample.structure, index=0, reason=sample.reason)
        for key, sample in zip(ids, drawn, strict=True)
    ]
    report = evaluate_crystals(samples, [CrystalEntry(*pair) for pair in zip(ids, crystals, strict=True)], workers=1)
    return round(100 * (report["match_rate.k1"] or 0.0), 1), round(report["rmse.k1"] or 0.0, 4)


def match_rates(folder: Path, retrieve_from: str, seed: int) -> dict[str, float]:
    """Of a model as users get it, and where it follows no known structure."""
    found: dict[str, float] = {}
    for name, anew in {"match": {}, "match_anew": {"anew": float("inf")}}.items():
        generator = load(folder, score=False, retrieve_from=retrieve_from, **anew)
        found[name], found[f"{name}_rmse"] = match_rate(generator, seed)
    return found


def stability(generator: Generator, seed: int) -> dict[str, float]:
    """Of 1,000 molecules from nothing: percent of atoms and of molecules that are stable, and of valid ones."""
    drawn = generate(MoleculeRequest(), n=JUDGED["molecules"], model=generator, seed=seed, workers=1)
    samples = [MoleculeEntry(str(sample.index), sample.structure, reason=sample.reason) for sample in drawn]
    report = evaluate_molecules(samples, workers=1)
    names = {"atoms_stable": "edm.atom_stable", "molecules_stable": "edm.molecule_stable", "valid": "rdkit.valid"}
    return {name: round(100 * (report[key] or 0.0), 1) for name, key in names.items()}


def trained(kind: str, name: str, steps: int, seed: int) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away, and what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = [f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}/run"]
        config = config_of(kind, name, fixed)
        start = time.process_time()
        model = train(config)
        taken = round(time.process_time() - start, 1)
        if kind == "crystals":
            judged = match_rates(model, config.data.train, seed)
        else:
            judged = stability(load(model, redraws=0), seed)
        losses = last_validation(Path(folder) / "run")
    return {"steps": steps, "width": width_of(name), "cpu_seconds": taken} | losses | judged


def begun(out: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The content of a file of results that is there, or what one begins with; where it comes from is told in both.

    A file that other code goes on with says so: ``continued``.

    Args:
        out: the file.
        facts: what a new one begins with.
    """
    now = provenance("")
    content = {**facts, "provenance": now}
    if out.exists():
        content |= json.loads(out.read_text())
        told = [content["provenance"], *content.get("continued", [])]
        if now["commit"] not in [each["commit"] for each in told]:
            content["continued"] = [*told[1:], now]
    return content


def fill(out: Path, content: dict[str, Any], names: Iterable[str], seeds: int, run: Callable[[str, int], Any]) -> None:
    """Make the runs that a file of results lacks, and write it behind each.

    Args:
        out: the file.
        content: of it, with ``runs`` by name and seed.
        names: of what is run with every seed.
        seeds: so many, outermost: a file that is cut off has whole rows.
        run: of a name and a seed.
    """
    for seed, name in product(range(seeds), list(names)):
        key = f"{name} | {seed}"
        if key not in content["runs"]:
            content["runs"][key] = run(name, seed)
            write_text(out, json.dumps(content, indent=1) + "\n")
            print(key, content["runs"][key], flush=True)


def table(names: Iterable[str], runs: Mapping[str, Mapping[str, float]]) -> Table:
    """A line a name: mean over its seeds, and their standard deviation; empty where nothing was measured."""
    measured = list(dict.fromkeys(name for run in runs.values() for name in run))
    shown = Table("", "seeds", *measured)
    for name in names:
        found = [run for key, run in runs.items() if key.rsplit(" | ", 1)[0] == name]
        if found:
            there = [what if all(what in run for run in found) else None for what in measured]
            cells = ["" if what is None else spread([run[what] for run in found]) for what in there]
            shown.add_row(name, str(len(found)), *cells)
    return shown


def spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation where they differ."""
    mean = f"{statistics.mean(values):.4g}"
    return f"{mean} ± {statistics.stdev(values):.2g}" if len(set(values)) > 1 else mean


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(JUDGED))
    parser.add_argument("--steps", type=int, default=1000, help="of attention")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content = begun(options.out, {"kind": options.kind, "steps_of_attention": options.steps})
    if "cost_of_a_step" not in content:
        configs = {name: config_of(options.kind, name) for name in PATTERNS}
        content |= {"cost_of_a_step": costs(configs), "runs": {}}
        print(content["cost_of_a_step"], flush=True)

    def run(name: str, seed: int) -> dict[str, Any]:
        steps = round(content["steps_of_attention"] / content["cost_of_a_step"][name])
        return trained(options.kind, name, steps, seed)

    fill(options.out, content, PATTERNS, options.seeds, run)
    Console(width=200).print(table(PATTERNS, content["runs"]))


if __name__ == "__main__":
    main()
