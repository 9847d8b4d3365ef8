"""Crystals as the published octrees have them: no torus, eight atoms at the corners of the cell, which is fitted.

python eval/ablation/corner_atoms.py --beside octree-crystals.json --out octree-corner-atoms.json

Uni-3DAR (Lu et al. 2025) writes a crystal as if it were a molecule, with pseudo-atoms at the eight corners of its cell;
a parallelepiped is fitted to those that are drawn. Here the octree model of molecules is trained on such crystals (one
cell each, its corners of an element that no crystal has) for the CPU time that the octree on the torus had in
``octree.py crystals``, whose row stands in the file of ``--beside``, and judged as there: one sample each of 500
compositions of MP-20 test. A sample whose corners are no parallelepiped to within half an Angstrom has failed, and
counts. Also told: tokens a crystal, of both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from mixers import CONFIGS, costs, match_rate
from octree import ALL, PROBES, config_of
from pymatgen.core import Composition
from scipy.optimize import linear_sum_assignment

from unigen.config import load as load_config
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.molecule_store import MoleculeDataset
from unigen.disk import write_text
from unigen.errors import UserError
from unigen.eval.report import provenance
from unigen.geometry.lattice import lattice_matrix, lattice_parameters
from unigen.models.checkpoint import load_model
from unigen.models.generator import Candidate, Job
from unigen.models.octree.generator import OctreeMoleculeGenerator, _Row
from unigen.models.octree.tokens import CELL, OctreeGrid, encode
from unigen.molecules.molecule import Molecule
from unigen.train.run import train
from unigen.train.settings import TrainConfig

CORNER = 118
"""Oganesson: no crystal has it."""

CORNERS = np.array(list(product((0, 1), repeat=3)), dtype=np.float64)
LARGEST, DEPTH = 20, 7
"""Atoms of a crystal, as in ``octree.py``; levels: 128 leaf cells of 0.24 Angstrom, 30.7 from corner to corner."""

NEAREST = 0.6
"""Angstrom between an atom and a corner, so that they lie in different leaf cells; the origin is chosen so."""

OFF = 0.5
"""Angstrom that a drawn corner may be off its parallelepiped."""


def with_corners(crystal: Crystal, rng: np.random.Generator) -> Molecule | None:
    """One cell with its corners, from an origin that is on no atom; None where none of a hundred is."""
    lattice = lattice_matrix(lattice_parameters(crystal.lattice.astype(np.float64)))
    for _ in range(100):
        places = (crystal.frac_coords + rng.random(3)) % 1.0 @ lattice
        corners = CORNERS @ lattice
        if np.linalg.norm(places[:, None] - corners, axis=2).min() > NEAREST:
            numbers = np.concatenate([crystal.numbers, np.full(8, CORNER)])
            return Molecule(numbers, np.concatenate([places, corners]))
    return None


def fits(molecule: Molecule) -> bool:
    """Whether it fits into the box of the octree, as those that are trained on do."""
    return bool(np.ptp(molecule.positions, axis=0).max() < CELL * (2**DEPTH - 1))


def written(crystals: CrystalDataset, path: Path, seed: int) -> int:
    """A dataset of such molecules; how many crystals it lacks."""
    rng = np.random.default_rng(seed)
    small = crystals.select(crystals.num_atoms <= LARGEST)
    made = [with_corners(crystal, rng) for crystal in small]
    kept = [molecule for molecule in made if molecule is not None]
    names = [str(index) for index in range(len(kept))]
    pq.write_table(MoleculeDataset.to_table(kept, names, ["train"] * len(kept)), path)
    return len(made) - len(kept)


def fitted(corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Origin and lattice of the parallelepiped nearest to eight points.

    Raises:
        UserError: some corner is farther off than OFF.
    """
    best, found = np.inf, None
    for start in range(8):
        others = [n for n in range(8) if n != start]
        for edges in combinations(others, 3):
            lattice = corners[list(edges)] - corners[start]
            if abs(np.linalg.det(lattice)) < 1.0:
                continue
            off = np.linalg.norm((corners[start] + CORNERS @ lattice)[:, None] - corners, axis=2)
            rows, columns = linear_sum_assignment(off)
            if off[rows, columns].max() < best:
                best, found = off[rows, columns].max(), corners[columns]
    if found is None or best > OFF:
        raise UserError("corners of no cell", got=f"{best:.2f} Angstrom off", wanted=OFF)
    known = np.column_stack([np.ones(8), CORNERS])
    origin, *lattice = np.linalg.lstsq(known, found, rcond=None)[0]
    return origin, np.array(lattice)


class CornerGenerator(OctreeMoleculeGenerator):
    """Draws crystals of a composition by way of their corners."""

    makes = "crystals"

    def draw(self, jobs: list[Job]) -> list[Candidate]:
        """See Generator."""
        rows = []
        for position, job in enumerate(jobs):
            whole = Composition(job.request.formula)
            cell = whole * (job.request.n_atoms / whole.num_atoms)
            counts = {element.Z: round(amount) for element, amount in cell.items()}
            rows.append(_Row(position, job.rng(), counts | {CORNER: 8}))
        return [self._crystal(numbers, places) for numbers, places, _, _ in self._structures(rows)]

    def _crystal(self, numbers: np.ndarray, places: np.ndarray) -> Candidate:
        is_corner = numbers == CORNER
        try:
            origin, lattice = fitted(places[is_corner].astype(np.float64))
            coords = np.linalg.solve(lattice.T, (places[~is_corner] - origin).T).T
            if np.linalg.det(lattice) < 0:
                lattice, coords = lattice[::-1], coords[:, ::-1]
            return Candidate(Crystal(numbers[~is_corner], coords - np.floor(coords), lattice))
        except UserError as error:
            return Candidate(None, reason=str(error))


def tokens_a_structure(grid: OctreeGrid, numbers: Sequence[np.ndarray], coords: Sequence[np.ndarray]) -> float:
    """Nodes and leaves, on average."""
    octrees = encode(
        grid,
        torch.from_numpy(np.concatenate(numbers)),
        torch.from_numpy(np.concatenate(coords)),
        torch.tensor([len(each) for each in numbers]),
        torch.zeros(len(numbers), dtype=torch.int64),
    )
    return round((len(octrees.mask) + len(octrees.element)) / len(numbers), 1)


def main() -> None:
    """Train, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beside", type=Path, required=True, help="results of octree.py crystals")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    beside = json.loads(options.beside.read_text())["runs"][f"octree | {options.seed}"]
    with tempfile.TemporaryDirectory() as folder:
        paths = {split: Path(folder) / f"{split}.parquet" for split in ("train", "val")}
        crystals = {split: open_crystals(f"crystal-train:{split}") for split in paths}
        missing = {split: written(crystals[split], paths[split], options.seed) for split in paths}
        torus = config_of("crystals", "octree")
        changes = [*ALL, f"model.max_atoms={LARGEST + 8}", f"model.depth={DEPTH}"]
        changes += [f"data.train={paths['train']}:train", f"data.val={paths['val']}:train", "data.rotate=false"]
        config = load_config(TrainConfig, CONFIGS / "octree.yaml", changes)
        cost = costs({"torus": torus, "corners": config}, PROBES)
        steps = round(beside["steps"] * cost["torus"] / cost["corners"])
        config = load_config(
            TrainConfig,
            CONFIGS / "octree.yaml",
            [*changes, f"max_steps={steps}", f"validate_every={steps}", f"seed={options.seed}", f"out={folder}/run"],
        )
        start = time.process_time()
        made = train(config)
        taken = round(time.process_time() - start, 1)
        model = load_model(made)
        match, rmse = match_rate(CornerGenerator(model, "corner atoms", score_steps=0), options.seed)
        sample = [crystals["val"][index] for index in range(200) if len(crystals["val"][index]) <= LARGEST]
        rng = np.random.default_rng(options.seed)
        pairs = [(crystal, with_corners(crystal, rng)) for crystal in sample]
        fitting = [(crystal, molecule) for crystal, molecule in pairs if molecule is not None and fits(molecule)]
        sample, cornered = [crystal for crystal, _ in fitting], [molecule for _, molecule in fitting]
        tokens = {
            "torus": tokens_a_structure(
                torus.model.grid, *zip(*((c.numbers, c.frac_coords) for c in sample), strict=True)
            ),
            "corners": tokens_a_structure(model.grid, *zip(*((m.numbers, m.positions) for m in cornered), strict=True)),
        }
    rows = {
        "octree on the torus": {
            name: beside[name] for name in ("steps", "cpu_seconds", "match_anew", "match_anew_rmse")
        },
        "octree with corner atoms": {
            "steps": steps,
            "cpu_seconds": taken,
            "match_anew": match,
            "match_anew_rmse": rmse,
        },
    }
    content = {
        "rows": rows,
        "tokens_a_crystal": tokens,
        "without_a_place_for_the_origin": missing,
        "provenance": provenance(""),
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    print(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
