"""One tiny run: its config, the command in a process of its own, and what it wrote."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.processes import finished
from unigen.config import write_yaml

CONFIG = {
    "model": {
        "kind": "autoregressive",
        "max_atoms": 6,
        "mixers": ["attention"],
        "width": 16,
        "heads": 2,
        "head_width": 16,
        "head_blocks": 1,
        "dropout": 0.1,
        "element_dropout": 0.1,
    },
    "optim": {"warmup_steps": 3, "ema_decay": 0.8},
    "max_steps": 12,
    "accelerator": "cpu",
    "threads": 1,
    "checkpoint_minutes": 0.0,
    "validate_every": 4,
    "validate_batches": 1,
    "match_structures": 0,
    "log_every": 1,
}


def write_config(folder: Path, crystals: Path, **changes: object) -> Path:
    """``folder/tiny.yaml`` of a run in ``folder/run``; changes are top-level keys."""
    data = {"train": f"{crystals}:train", "val": f"{crystals}:val", "batch_size": 8, "bucket": 4}
    path = folder / "tiny.yaml"
    write_yaml(path, CONFIG | {"data": data, "out": str(folder / "run")} | changes)
    return path


def python(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments, one thread."""
    variables = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return finished([sys.executable, *command], environment=variables)


def interference(what: str) -> dict[str, str]:
    """Environment that makes a run meet its end, or be watched: see ``interference/sitecustomize.py``."""
    paths = [str(Path(__file__).with_name("interference")), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths), "UNIGEN_TEST": what}


def train(config: Path, *overrides: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m unigen.train``."""
    return python("-m", "unigen.train", str(config), *overrides, **environment)


def logged(run: Path, name: str = "loss") -> dict[int, float]:
    """Value by step over all starts of a run; steps done twice must have come out the same."""
    values: dict[int, float] = {}
    for file in sorted(run.glob("logs/version_*/metrics.csv")):
        for row in csv.DictReader(file.read_text().splitlines()):
            if row.get(name):
                value = float(row[name])
                assert values.setdefault(int(row["step"]), value) == value, f"{name} at step {row['step']} differs"
    return values
