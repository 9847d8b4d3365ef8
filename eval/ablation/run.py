"""What does a choice in a config change? The same short run with one thing changed at a time, judged on validation.

python eval/ablation/run.py configs/crystal-small-reranker.yaml --steps 600 --name reranker \
    --vary model.neighbour_dropout=0.0 --vary model.reranker_dropout=0.0 --vary model.element_dropout=0.0

Runs that were trained by hand are put beside them with ``--finished RUN`` (``--steps 0`` trains none).

Validation crystals have compositions that no training crystal has. Every run starts from the same seed; variants are
compared with the first row, the config as it stands. Differences of the size that another seed makes (``--seeds``)
mean nothing. The table is written to eval/results/ablation/NAME.json.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unigen.config import load
from unigen.eval.report import provenance
from unigen.train.run import train
from unigen.train.settings import TrainConfig

FREE = ("out", "max_steps", "seed", "threads", "validate_every")
"""What may differ without being a variant."""

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ablation"


def last_validation(out: Path) -> dict[str, float]:
    """The last line of a run's log that holds validation numbers."""
    rows = list(csv.DictReader((out / "logs" / "version_0" / "metrics.csv").open()))
    judged = ("val_loss_source", "val_loss_site", "val_loss_molecule_site")
    last = [row for row in rows if any(row.get(name) for name in judged)][-1]
    return {name: round(float(value), 4) for name, value in last.items() if name.startswith("val_") and value}


def judge(config: Path, changes: list[str], steps: int, seed: int) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        overrides = [*changes, f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}/run"]
        train(load(TrainConfig, config, overrides))
        return {"changes": changes, "steps": steps, "seed": seed} | last_validation(Path(folder) / "run")


def judge_finished(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """A run trained before, and how its config differs from this one."""
    theirs, ours = flat(asdict(load(TrainConfig, folder / "config.yaml"))), flat(asdict(config))
    changes = [f"{name}={value}" for name, value in theirs.items() if value != ours[name] and name not in FREE]
    return {"changes": changes, "steps": theirs["max_steps"], "seed": theirs["seed"]} | last_validation(folder)


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"a": {"b": 1}} -> {"a.b": 1}``."""
    pairs: dict[str, Any] = {}
    for name, value in nested.items():
        pairs |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return pairs


def main() -> None:
    """Run all variants, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--vary", action="append", default=[], help="key.sub=value, one variant each")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of the config as it stands; variants: first")
    parser.add_argument("--set", action="append", default=[], help="key.sub=value, in every run")
    parser.add_argument("--finished", type=Path, action="append", default=[], help="folder of a run trained before")
    options = parser.parse_args()
    runs = [(options.set, seed) for seed in options.seeds]
    runs += [([*options.set, change], options.seeds[0]) for change in options.vary]
    rows = [judge_finished(folder, load(TrainConfig, options.config)) for folder in options.finished]
    for changes, seed in runs if options.steps else []:
        rows.append(judge(options.config, changes, options.steps, seed))
        print(json.dumps(rows[-1]), flush=True)
    RESULTS.mkdir(parents=True, exist_ok=True)
    table = {"config": options.config.name, "provenance": provenance(str(options.config)), "rows": rows}
    (RESULTS / f"{options.name}.json").write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
