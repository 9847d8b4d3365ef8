"""The folder of a run of molecules: beside the journal ``samples.sdf`` with bonds, charges and what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unigen.disk import durable
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.models.generator import Sample
from unigen.molecules.molecule import Molecule
from unigen.request import MoleculeRequest
from unigen.runs.folder import Journal, Row, file_names

SDF = "samples.sdf"
_DIGITS = 5


class MoleculeFolder(Journal):
    """A run folder of molecules."""

    def row_of(self, sample: Sample[MoleculeRequest, Molecule]) -> Row:
        """See Journal."""
        return _row(sample)

    def finish(self) -> list[Row]:
        """See Journal."""
        rows = self.sort()
        made = [row for row in rows if "molecule" in row]
        with durable(self.path / SDF) as partial, partial.open("w", encoding="utf-8") as file:
            for name, row in zip(file_names(made), made, strict=True):
                molecule = molecule_of(row)
                assert molecule is not None
                file.write(molecule.to_sdf(name=name))
        return rows


def molecule_of(row: Mapping[str, Any]) -> Molecule | None:
    """The molecule of a journal line, with the values asked for; None for a failed sample."""
    if "molecule" not in row:
        return None
    held = row["molecule"]
    return Molecule(
        np.array([ATOMIC_NUMBER[symbol] for symbol in held["elements"]]),
        np.array(held["positions"], dtype=np.float64),
        np.array(held["bonds"], dtype=np.int64).reshape(-1, 3),
        np.array(held["charges"], dtype=np.int64),
        {f"{name}_asked": float(value) for name, value in row["request"].get("properties", {}).items()},
        row["smiles"],
    )


def _row(sample: Sample[MoleculeRequest, Molecule]) -> Row:
    asked = sample.request.to_dict()
    if "scaffold" in asked:
        asked["scaffold"] = True  # its text stands in run.yaml
    request = sample.request
    row: Row = {
        "id": request.id or request.smiles or request.formula or "de_novo",
        "request_index": sample.request_index,
        "index": sample.index,
        "request": asked,
        "seed": sample.seed,
        "model": sample.model,
    }
    row |= sample.source
    if sample.structure is None:
        return row | {"reason": sample.reason}
    molecule = sample.structure
    return row | {
        "smiles": molecule.to_smiles(),
        "formula": molecule.formula,
        "smallest_distance": round(molecule.closest_pair()[2], _DIGITS) if len(molecule) > 1 else None,
        "molecule": {
            "elements": [SYMBOLS[number] for number in molecule.numbers.tolist()],
            "positions": molecule.positions.round(_DIGITS).tolist(),
            "bonds": molecule.bonds.tolist(),
            "charges": molecule.charges.tolist(),
        },
    }
