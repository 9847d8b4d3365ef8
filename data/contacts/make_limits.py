"""Make ``unigen/crystals/plausibility/close_contacts.csv``: how near two elements come in known crystals.

    python data/contacts/make_limits.py

From the table of the bundled model (OQMD-ICSD and MP-20's training set). A line a pair of elements: the distance below
which it is too close to be believed, and in how many structures the two were seen nearer than SEEN.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
from ase.data import covalent_radii
from tqdm import tqdm

from unigen.crystals.cell import Cell, shortest_by_pair
from unigen.elements import SYMBOLS
from unigen.models.checkpoint import model_folder
from unigen.request import pair_name
from unigen.retrieval.bond_lengths import BondLengths
from unigen.retrieval.build_table import TABLE, open_table

OUT = Path(__file__).resolve().parents[2] / "unigen" / "crystals" / "plausibility" / "close_contacts.csv"
SEEN = 4.5
"""Angstrom; beyond the longest bonds of caesium (Cs-Cs 5.2 in the metal is no close contact)."""

ENOUGH = 10
"""Structures from which on what was seen of a pair counts; of fewer the sum of radii is all that is known."""

LOW = 0.005
"""Share of the structures of a pair that may be wrong: databases have some with two atoms on one place."""

NEARER = 0.93
"""Of the shortest distance that is believed: pressure, and structures that are not relaxed yet. Cells of half their
volume have distances of 0.79."""

OF_RADII = 0.72
"""Of the mean bond (the sum of two radii), for pairs that were hardly seen, and at most for all others: pairs that were
seen apart, in salts, are bonded elsewhere."""


OF_COVALENT = 0.9
"""Of the sum of covalent radii (Cordero et al., Dalton Trans. 2832 (2008)), at most: molecules of two halogens are in
crystals, and in hardly any of the table's."""


def main() -> None:
    """Look through the table and write."""
    table = open_table(model_folder("unigen-crystal-small") / TABLE)
    distances: dict[tuple[int, int], list[float]] = defaultdict(list)
    for place in tqdm(range(len(table))):
        crystal = table[place].to_crystal()
        near = shortest_by_pair(Cell(crystal.lattice, crystal.frac_coords, crystal.numbers), SEEN)
        for pair, distance in near.items():
            distances[pair].append(distance)
    known = set(table.elements.tolist())
    bonds = np.exp(BondLengths.fit(table).log_length)
    with OUT.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("pair", "too_close", "structures"))
        for first in range(1, len(SYMBOLS)):
            for second in range(first, len(SYMBOLS)):
                seen = np.array(distances.get((first, second), []))
                limit = min(
                    OF_RADII * bonds[first, second],
                    OF_COVALENT * (covalent_radii[first] + covalent_radii[second]),
                )
                if len(seen) >= ENOUGH:
                    limit = min(limit, NEARER * float(np.quantile(seen, LOW)))
                if {first, second} <= known:
                    name = pair_name(SYMBOLS[first], SYMBOLS[second])
                    rows.writerow((name, f"{limit:.3f}", len(seen)))


if __name__ == "__main__":
    main()
