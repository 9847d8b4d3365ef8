"""Does the check of soundness pass what is real, and fail what is not?

    python eval/trust/molecules_soundness.py --dataset drugs:test --dataset qm9:test --out soundness.json

``unigen/molecules/geometry_check.py`` judges every molecule that is drawn. Here it judges molecules of datasets, and
the same with one heavy atom or one hydrogen moved by half an Angstrom in a random direction, and with every atom moved
(normal, 0.1 and 0.2 Angstrom an axis).
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unigen.data.molecule_store import open_molecules
from unigen.disk import write_text
from unigen.eval.report import provenance
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule

Change = Callable[[Molecule, np.random.Generator], Molecule]


def one_moved(*, hydrogen: bool) -> Change:
    """One atom half an Angstrom away, in a random direction."""

    def change(molecule: Molecule, rng: np.random.Generator) -> Molecule:
        atoms = np.flatnonzero((molecule.numbers == 1) == hydrogen)
        if not len(atoms):
            return molecule
        positions, direction = molecule.positions.astype(np.float64).copy(), rng.normal(size=3)
        positions[rng.choice(atoms)] += 0.5 * direction / np.linalg.norm(direction)
        return replace(molecule, positions=positions)

    return change


def all_moved(sigma: float) -> Change:
    """Every atom, normal."""
    return lambda molecule, rng: replace(
        molecule, positions=molecule.positions + rng.normal(0, sigma, molecule.positions.shape)
    )


CHANGES: dict[str, Change] = {
    "as it is": lambda molecule, _: molecule,
    "a heavy atom moved 0.5 A": one_moved(hydrogen=False),
    "a hydrogen moved 0.5 A": one_moved(hydrogen=True),
    "all moved, 0.1 A": all_moved(0.1),
    "all moved, 0.2 A": all_moved(0.2),
}


def main() -> None:
    """Shares that are called sound."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", action="append", required=True)
    parser.add_argument("--count", type=int, default=2000, help="of each dataset, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    reasons: dict[str, dict[str, int]] = {}
    for name in options.dataset:
        dataset, rng = open_molecules(name), np.random.default_rng(options.seed)
        chosen = rng.permutation(len(dataset))[: options.count].tolist()
        faults = {change: [fault_of(make(dataset[index], rng)) for index in chosen] for change, make in CHANGES.items()}
        found[name] = {change: round(float(np.mean([not each for each in all_])), 4) for change, all_ in faults.items()}
        kinds = Counter(each.split(":")[-1].split(" Angstrom")[0] for each in faults["as it is"] if each)
        reasons[name] = dict(kinds.most_common(10)) | {"molecules": len(chosen)}
    content = {"sound": found, "faults_of_real_ones": reasons, "provenance": provenance("")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    table = Table("dataset", *CHANGES)
    for name, shares in found.items():
        table.add_row(name, *(f"{share:.2%}" for share in shares.values()))
    Console().print(table)


if __name__ == "__main__":
    main()
