"""Writes unigen/elements.csv, the chemical scales of the elements, from pymatgen's Element data.

Run from the repository: ``python data/elements/make_table.py``. A test checks that the table is what this script gives.
Columns (Z = 1 to 103, the elements pymatgen gives a Mendeleev number):

- mendeleev: Pettifor's Mendeleev number, 1 (He) to 103 (H) (Solid State Communications 51, 31, 1984), complete.
- electronegativity: Pauling's; He, Ne and Ar have none: filled with 4.0, beyond fluorine, since they bind to nothing.
- radius: Slater's empirical atomic radius, Angstrom (J. Chem. Phys. 41, 3199 (1964)); where it is missing, the radius
  calculated by Clementi et al., and where that is missing too the radius of the nearest lighter element that has one.
"""

# ruff: noqa: INP001 - a script beside the facts it makes, not a module

from __future__ import annotations

import csv
import math
import warnings
from pathlib import Path

from pymatgen.core import Element

COLUMNS = ("symbol", "mendeleev", "electronegativity", "radius")
LAST = 103
UNBOUND = 4.0


def rows() -> list[list[object]]:
    """One row an element, in the order of COLUMNS."""
    table: list[list[object]] = []
    radius = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen says of every gap what the columns above say once
        for number in range(1, LAST + 1):
            element = Element.from_Z(number)
            radius = float(element.atomic_radius or element.atomic_radius_calculated or radius)
            bound = UNBOUND if math.isnan(element.X) else float(element.X)
            table.append([element.symbol, int(element.mendeleev_no), bound, radius])
    return table


def main() -> None:
    """Write the table beside the code that reads it."""
    path = Path(__file__).resolve().parents[2] / "unigen" / "elements.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows())


if __name__ == "__main__":
    main()
