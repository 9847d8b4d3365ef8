"""What do order and rotation matter? Short runs of the model of molecules, judged by the molecules they place.

python eval/ablation/molecules.py configs/qm9.yaml --steps 1500

Every run starts from the same seed. The graphs of validation molecules are given; their atoms are placed, and EDM's
look-up tables say how many of the molecules are stable: this is about positions alone. Local axes turn with the
molecule, so turning it changes nothing there; fixed axes have to learn it. The table is written to
eval/results/ablation/molecules.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from run import RESULTS, last_validation

from unigen.config import load
from unigen.data.molecule_store import open_molecules
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.report import provenance
from unigen.geometry.rotation import random_rotation
from unigen.models.checkpoint import load_model
from unigen.models.smiles.atoms_first_decoding import PartialMolecule, draw_atoms_first
from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.position_decoding import draw_positions
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tokens import encode
from unigen.molecules.molecule import Molecule
from unigen.smiles.skeleton import skeleton_of
from unigen.smiles.writer import write_smiles
from unigen.train.run import train
from unigen.train.settings import TrainConfig

VARIANTS = {
    "local axes": [],
    "local axes, atoms-first": ["model.layout=atoms-first"],
    "local axes, random order of atoms": ["data.shuffle_atoms=true"],
    "fixed axes, turned at random": ["model.frame=fixed"],
    "fixed axes, never turned": ["model.frame=fixed", "data.rotate=false"],
}
BATCH = 250


def placed(model: MoleculeModel, config: TrainConfig, count: int) -> list[Molecule]:
    """Validation molecules whose atoms the model placed, shown to it as in its training."""
    if config.model.layout == "atoms-first":
        return placed_in_turn(model, config, count)
    molecules, rng = open_molecules(config.data.val), np.random.default_rng(1)
    chosen = rng.permutation(len(molecules))[:count].tolist()
    found = []
    for start in range(0, count, BATCH):
        rows = [molecules[index] for index in chosen[start : start + BATCH]]
        turned = [row.positions @ random_rotation(rng) if config.data.rotate else row.positions for row in rows]
        plans = [
            encode(row, rng, positions=where, shuffle=config.data.shuffle_atoms)
            for row, where in zip(rows, turned, strict=True)
        ]
        plans.sort(key=lambda one: -len(one.numbers))
        batch = collate_molecules(plans)
        normal = torch.from_numpy(rng.standard_normal(batch.positions.shape).astype(np.float32))
        positions = draw_positions(model, batch, normal[:, :, None], MoleculeSettings()).numpy().astype(np.float64)
        found += [Molecule(one.numbers, positions[row, : len(one.numbers)]) for row, one in enumerate(plans)]
    return found


def placed_in_turn(model: MoleculeModel, config: TrainConfig, count: int) -> list[Molecule]:
    """The same for a model that places each atom as soon as the SMILES has named it."""
    molecules, rng = open_molecules(config.data.val), np.random.default_rng(1)
    chosen = rng.permutation(len(molecules))[:count].tolist()
    found: list[Molecule] = []
    for start in range(0, count, BATCH):
        batch = [molecules[index] for index in chosen[start : start + BATCH]]
        written = [
            write_smiles(skeleton_of(one.numbers, one.charges, one.bonds).skeleton, rng, stereo=False) for one in batch
        ]
        rows = [
            PartialMolecule.conformer(one.symbols.tolist(), {}, np.random.default_rng([1, start, n]))
            for n, one in enumerate(written)
        ]
        found += draw_atoms_first(model, rows, MoleculeSettings())
    return [Molecule(one.numbers, one.positions) for one in found]


def judge(path: Path, changes: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = [f"max_steps={options.steps}", f"validate_every={options.steps}", f"out={folder}/run"]
        config = load(TrainConfig, path, [*options.set, *changes, *fixed])
        model = load_model(train(config))
        assert isinstance(model, MoleculeModel)
        report = evaluate_molecules(placed(model, config, options.molecules), workers=1)
        row = {"changes": changes, "steps": options.steps, "seed": config.seed} | last_validation(Path(folder) / "run")
    return row | {name: round(report[name], 4) for name in ("edm.atom_stable", "edm.molecule_stable", "rdkit.valid")}


def main() -> None:
    """Run all variants, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--molecules", type=int, default=1000)
    parser.add_argument("--set", action="append", default=[], help="key.sub=value, in every run")
    options = parser.parse_args()
    rows = {}
    for name, changes in VARIANTS.items():
        rows[name] = judge(options.config, changes, options)
        print(name, json.dumps(rows[name]), flush=True)
        facts = {"provenance": provenance(str(options.config)), "config": options.config.name}
        settings = {"set": options.set, "molecules": options.molecules}
        (RESULTS / "molecules.json").write_text(json.dumps(facts | settings | {"rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
