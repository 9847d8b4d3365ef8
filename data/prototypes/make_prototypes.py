"""Make ``unigen/crystals/prototypes.json``: the structures that drawn crystals are named by.

    python data/prototypes/make_prototypes.py [--cifs FOLDER]

From ``prototypes.yaml`` beside this file: some entries hold their structure, others name one in the copy of the AFLOW
library of crystallographic prototypes that pymatgen carries. Each is checked: it has the composition of its example, no
two atoms nearer than known crystals have them (which some entries of the library do), the space group that it names,
and no other entry of the list is the same arrangement.
"""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY
from pymatgen.core import Structure

from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.crystals.prototypes import PROTOTYPES, Prototype, deviation
from unigen.crystals.symmetric import structure_of_sites
from unigen.disk import write_text
from unigen.elements import SYMBOLS, format_formula, parse_formula, reduce_counts

ENTRIES = Path(__file__).parent / "prototypes.yaml"

_DIGITS = 5
"""Of the table: 1e-5 Angstrom, and more of a fraction than handbooks have."""


def main() -> None:
    """Read, check, write."""
    parser = ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--cifs", type=Path, help="a folder for a CIF of each")
    folder: Path | None = parser.parse_args().cifs
    prototypes: list[Prototype] = []
    for entry in yaml.safe_load(ENTRIES.read_text(encoding="utf-8")):
        number = entry.get("space_group") or int(entry["aflow"].split("_")[2])
        structure = (
            _of_library(entry) if "aflow" in entry else structure_of_sites(number, entry["cell"], entry["sites"])
        )
        crystal = Crystal.from_pymatgen(structure).reduced()
        prototype = Prototype(entry["name"], entry.get("anti", ""), number, crystal)
        if crystal.reduced_formula != format_formula(reduce_counts(parse_formula(entry["example"]))[0]):
            raise ValueError(f"{prototype.name}: {crystal.reduced_formula}, not {entry['example']}")
        if (found := crystal.space_group().number) != number:
            raise ValueError(f"{prototype.name}: space group {found}, not {number}")
        if (contact := closest_contact(crystal)) is not None:
            raise ValueError(f"{prototype.name}: {contact.reason}")
        for other in prototypes:
            if other.key == prototype.key:
                print(f"{prototype.name} from {other.name}: {deviation(crystal, other):.3f}")  # noqa: T201 - what to look at
        prototypes.append(prototype)
    lines = [json.dumps(_row(each), ensure_ascii=False) for each in prototypes]
    write_text(PROTOTYPES, "[\n" + ",\n".join(lines) + "\n]\n")
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for number, each in enumerate(prototypes, start=1):  # short: it stands in narrow columns
            each.crystal.to_cif(folder / f"handbook-{number}.cif")
    print(f"{len(prototypes)} prototypes")  # noqa: T201


def _row(prototype: Prototype) -> dict[str, Any]:
    crystal = prototype.crystal
    return {
        "name": prototype.name,
        "anti": prototype.anti,
        "space_group": prototype.space_group,
        "elements": [SYMBOLS[number] for number in crystal.numbers.tolist()],
        "lattice": np.round(crystal.lattice, _DIGITS).tolist(),
        "frac_coords": np.round(crystal.frac_coords, _DIGITS).tolist(),
    }


def _of_library(entry: dict[str, Any]) -> Structure:
    found = [each["snl"].structure for each in AFLOW_PROTOTYPE_LIBRARY if each["tags"]["aflow"] == entry["aflow"]]
    if len(found) != 1:
        raise ValueError(f"{entry['name']}: {len(found)} structures of {entry['aflow']}")
    return found[0]


if __name__ == "__main__":
    main()
