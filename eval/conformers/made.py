"""Of how many molecules did a run make all the conformers that it was asked for? By size, and at what cost.

unigen data requests drugs:test --limit 500 --out drugs.csv
unigen generate molecule --requests drugs.csv --n 2 --no-picture --no-page --out made
python eval/conformers/made.py made --out made.json

Read from the journal of the run (``samples.jsonl``): what failed counts as not made. A conformer that is made is sound
(``unigen/molecules/geometry_check.py``) and has the stereo that its SMILES says.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
from rdkit import Chem
from rich.console import Console
from rich.table import Table

from unigen.disk import write_text
from unigen.eval.report import provenance
from unigen.journal import read_lines

SIZES = (30, 40, 50, 65, 10**9)
"""Atoms, hydrogens counted, below which a molecule belongs to a class."""


def main() -> None:
    """Count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of unigen generate molecule")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    made: dict[int, list[bool]] = defaultdict(list)
    sizes: dict[int, int] = {}
    reasons: Counter[str] = Counter()
    helped = Counter({"redraws": 0, "repairs": 0})
    for row in read_lines(options.run / "samples.jsonl"):
        key = row["request_index"]
        made[key].append("molecule" in row)
        if key not in sizes:
            sizes[key] = Chem.AddHs(Chem.MolFromSmiles(row["request"]["smiles"])).GetNumAtoms()
        if "molecule" not in row:
            reasons[row["reason"].split(";")[0].split(":")[0]] += 1
        for how in helped:
            helped[how] += how in row
    content: dict[str, object] = {}
    table = Table("atoms", "molecules", "conformers made", "all made")
    for low, high in zip((0, *SIZES), (*SIZES, 0), strict=True):
        keys = [key for key, size in sizes.items() if not high or low <= size < high]
        if not keys:
            continue
        name = "all" if not high else f"{low} to {high - 1}" if high < SIZES[-1] else f"{low} and more"
        share = round(float(np.mean([each for key in keys for each in made[key]])), 4)
        whole = round(float(np.mean([all(made[key]) for key in keys])), 4)
        content[name] = {"molecules": len(keys), "made": share, "all_made": whole}
        table.add_row(name, str(len(keys)), f"{share:.1%}", f"{whole:.1%}")
    facts = {"conformers": sum(map(len, made.values())), "not_made": dict(reasons), "drawn_again": dict(helped)}
    write_text(options.out, json.dumps(content | facts | {"provenance": provenance(str(options.run))}, indent=1) + "\n")
    Console().print(table)
    print(facts)


if __name__ == "__main__":
    main()
