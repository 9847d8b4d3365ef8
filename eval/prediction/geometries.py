"""What are predicted properties of molecules worth when the positions are not those of the training?

    python eval/prediction/geometries.py --out eval/results/prediction/qm9-test-geometries.json

QM9's positions are relaxed by DFT (B3LYP); who has a SMILES has none. The same molecules of QM9 test as the dataset has
them, estimated from their SMILES by RDKit (ETKDGv3, one conformer), these relaxed by MMFF94, and these by GFN2-xTB:
mean and median absolute error of each property against QM9's value, and what share of the errors the predictor's error
bars hold, which say 90 %. A conformer from a SMILES may be another one than QM9's, which most concerns the dipole
moment. Molecules for which one of the four cannot be had are left out of all, and counted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from unigen.data.molecule_store import open_molecules
from unigen.disk import write_text
from unigen.errors import UserError
from unigen.eval.report import provenance
from unigen.molecules.molecule import Molecule
from unigen.molecules.relaxation.force_field import CONVERGED, mmff_relaxed
from unigen.molecules.relaxation.xtb import relax_molecule
from unigen.parallel import ProgressBar
from unigen.sample.predict import load_predictor

GEOMETRIES = ("as in QM9", "ETKDGv3", "MMFF94", "GFN2-xTB")


def geometries_of(molecule: Molecule) -> tuple[Molecule, ...] | str:
    """The molecule in each of them, or which cannot be had."""
    try:
        estimated = Molecule.from_smiles(molecule.smiles, seed=0)
    except UserError:
        return "ETKDGv3"
    by_force_field, how = mmff_relaxed(estimated)
    if how != CONVERGED:
        return "MMFF94"
    relaxed = relax_molecule(by_force_field).molecule
    return "GFN2-xTB" if relaxed is None else (molecule, estimated, by_force_field, relaxed)


def main() -> None:
    """Make the geometries, predict, compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=500, help="molecules of qm9:test")
    parser.add_argument("--model", default="unigen-qm9-predictor")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    predictor, test = load_predictor(options.model), open_molecules("qm9:test")
    chosen = [test[int(row)] for row in np.random.default_rng(0).permutation(len(test))[: options.n]]
    made, missing = [], dict.fromkeys(GEOMETRIES[1:], 0)
    with ProgressBar("relaxing", len(chosen)) as bar:
        for molecule in chosen:
            found = geometries_of(molecule)
            if isinstance(found, str):
                missing[found] += 1
            else:
                made.append(found)
            bar.advance()
    truth = np.array([[of[0].properties[name] for name in predictor.properties] for of in made])
    content = {"model": predictor.name, "version": predictor.version, "provenance": provenance("")}
    content |= {"molecules": len(made), "left_out": missing, "geometries": {}}
    columns = zip(predictor.properties, predictor.units, strict=True)
    shown = Table("geometry", *(f"{name} {unit}" for name, unit in columns))
    for geometry, molecules in zip(GEOMETRIES, zip(*made, strict=True), strict=True):
        told = predictor.predict(molecules)
        errors = np.abs(told.values - truth)
        rows = {
            name: {
                "mae": round(float(errors[:, column].mean()), 6),
                "median": round(float(np.median(errors[:, column])), 6),
                "inside_error_bars": round(float((errors[:, column] <= told.errors[:, column]).mean()), 3),
            }
            for column, name in enumerate(predictor.properties)
        }
        content["geometries"][geometry] = rows
        shown.add_row(geometry, *(f"{r['mae']:.4g} ({100 * r['inside_error_bars']:.0f} %)" for r in rows.values()))
    Console(width=160).print(shown)
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
