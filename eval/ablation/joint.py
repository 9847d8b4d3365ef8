"""Does one backbone for crystals and molecules help either? A joint run beside the two specialists of its size.

python eval/ablation/joint.py configs/joint.yaml --steps 2000

All three runs have the same seed, sizes, and batches a kind: the joint one sees as many crystals and as many molecules
as the specialists together. Judged on validation: losses of each part, and how many molecules whose graphs are given
EDM's look-up tables call stable. The table is written to eval/results/ablation/joint.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from molecules import placed
from run import RESULTS, last_validation

from unigen.config import load
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.report import provenance
from unigen.models.checkpoint import load_model
from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.smiles.network import MoleculeModel
from unigen.train.run import train
from unigen.train.settings import TrainConfig


def alone(config: TrainConfig, kind: str) -> TrainConfig:
    """The specialist of a joint run."""
    assert isinstance(config.model, JointConfig)
    data = replace(config.data, molecules=None, val_molecules=None)
    if kind == "crystal":
        return replace(config, model=config.model.crystal, data=replace(data, values_of_half=None))
    molecules = {"train": str(config.data.molecules), "val": str(config.data.val_molecules)}
    return replace(config, model=config.model.molecule, data=replace(data, **molecules))


def judge(config: TrainConfig, count: int) -> dict[str, Any]:
    """Train in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(train(replace(config, out=f"{folder}/run", validate_every=config.max_steps)))
        row: dict[str, Any] = {"parameters": sum(p.numel() for p in model.parameters()), "steps": config.max_steps}
        row |= last_validation(Path(folder) / "run")
    half = model.molecule if isinstance(model, JointModel) else model
    if isinstance(half, MoleculeModel):
        of_molecules = alone(config, "molecule") if isinstance(config.model, JointConfig) else config
        report = evaluate_molecules(placed(half, of_molecules, count), workers=1)
        row |= {name: round(report[name], 4) for name in ("edm.atom_stable", "edm.molecule_stable")}
    return row


def main() -> None:
    """Run all three, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--molecules", type=int, default=1000)
    parser.add_argument("--set", action="append", default=[], help="key.sub=value, in every run")
    options = parser.parse_args()
    config = load(TrainConfig, options.config, [*options.set, f"max_steps={options.steps}"])
    runs = {"joint": config, "crystals alone": alone(config, "crystal"), "molecules alone": alone(config, "molecule")}
    rows = {}
    for name, each in runs.items():
        rows[name] = judge(each, options.molecules)
        print(name, json.dumps(rows[name]), flush=True)
        facts = {"provenance": provenance(str(options.config)), "config": options.config.name, "set": options.set}
        (RESULTS / "joint.json").write_text(json.dumps(facts | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
