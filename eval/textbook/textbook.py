"""Does a request for a formula and a space group give the structure of the textbooks, with its density?

    python eval/textbook/textbook.py --out eval/results/textbook/unigen-crystal-small.json
    python eval/textbook/textbook.py --exclude-formula --out eval/results/textbook/formula-excluded.json

For each entry of ``structures.yaml`` the model is asked for formula and space group, and nothing else. A crystal has
the prototype when pymatgen's StructureMatcher (its defaults, volumes scaled to be equal) fits it to the textbook's
structure, and the density when it is within a tenth of it. With ``--exclude-formula`` no known structure of the formula
itself is followed.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path
from typing import Any

import yaml
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Composition, Structure

from unigen.crystals.symmetric import structure_of_sites
from unigen.disk import write_text
from unigen.eval.report import provenance
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

ENTRIES = Path(__file__).parent / "structures.yaml"
DENSITY = 0.1
"""Largest relative error of a density that counts as right."""

HANDBOOK = 0.02
"""How far the density of an entry may be from that of handbooks before its cell or sites must be wrong."""


def structure_of(entry: dict[str, Any]) -> Structure:
    """The textbook's structure.

    Raises:
        ValueError: an entry that does not have its formula or its density.
    """
    conventional = structure_of_sites(entry["space_group"], entry["cell"], entry["sites"])
    structure = conventional.get_primitive_structure()
    if structure.composition.reduced_composition != Composition(entry["formula"]).reduced_composition:
        raise ValueError(f"{entry['name']}: {structure.composition.reduced_formula}")
    if abs(structure.density / entry["density"] - 1) > HANDBOOK:
        raise ValueError(f"{entry['name']}: density {structure.density:.3g}, handbooks {entry['density']}")
    return structure


def main() -> None:
    """Ask, compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="unigen-crystal-small")
    parser.add_argument("--n", type=int, default=4, help="samples of each request")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--exclude-formula", action="store_true")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    warnings.filterwarnings("ignore", module="pymatgen")
    entries = yaml.safe_load(ENTRIES.read_text())
    requests = [
        CrystalRequest(formula=each["formula"], space_group=each["space_group"], id=each["name"]) for each in entries
    ]
    generator = load(options.model, exclude_formula=options.exclude_formula, score=False)
    samples = generate(requests, n=options.n, model=generator, seed=options.seed)
    matcher = StructureMatcher()
    rows: list[dict[str, Any]] = []
    for index, entry in enumerate(entries):
        wanted = structure_of(entry)
        row: dict[str, Any] = {name: entry[name] for name in ("name", "formula", "space_group")}
        verdicts = []
        for sample in samples:
            if sample.request_index != index:
                continue
            if sample.structure is None:
                verdicts.append({"reason": sample.reason})
                continue
            verdicts.append(
                {
                    "prototype": bool(matcher.fit(sample.structure.to_pymatgen(), wanted)),
                    "density": round(sample.structure.density, 3),
                    "error": round(sample.structure.density / wanted.density - 1, 3),
                    "follows": f"{sample.source.get('formula', 'none')} {sample.source.get('id', '')}".strip(),
                }
            )
        rows.append(row | {"textbook_density": round(wanted.density, 3), "samples": verdicts})
    shares = {
        name: sum(any(_right(each, density=density) for each in row["samples"][:first]) for row in rows) / len(rows)
        for name, first, density in (
            ("prototype, first", 1, False),
            ("prototype and density, first", 1, True),
            (f"prototype, any of {options.n}", options.n, False),
            (f"prototype and density, any of {options.n}", options.n, True),
        )
    }
    for row in rows:
        first = row["samples"][0]
        said = first.get("reason") or (
            f"{'yes' if first['prototype'] else 'NO ':3} {first['density']:6.2f} of {row['textbook_density']:6.2f} "
            f"({100 * first['error']:+5.1f} %)  {first['follows']}"
        )
        print(f"{row['name'][:38]:38} {row['formula']:8} {row['space_group']:3}  {said}")
    for name, share in shares.items():
        print(f"{name}: {100 * share:.1f} % of {len(rows)}")
    content = {
        "model": options.model,
        "exclude_formula": options.exclude_formula,
        "seed": options.seed,
        "n": options.n,
        "provenance": provenance(options.model),
        "shares": shares,
        "rows": rows,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_text(options.out, json.dumps(content, indent=1) + "\n")


def _right(verdict: dict[str, Any], *, density: bool) -> bool:
    return bool(verdict.get("prototype")) and (not density or abs(verdict["error"]) <= DENSITY)


if __name__ == "__main__":
    main()
