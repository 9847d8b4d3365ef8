"""Are cells larger than any in training found? The large crystals of the bundled table, their own formula left out.

python eval/ablation/large_cells.py

One unranked sample of each crystal of more than 52 atoms whose atom counts another formula of the table has too (else
there is nothing to follow), the cell's composition given. Written to eval/results/ablation/large_cells.json.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

from unigen.cards import find_cards
from unigen.elements import format_formula
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.report import provenance
from unigen.request import CrystalRequest
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.table import TemplateTable, read_table
from unigen.sample.generate import generate
from unigen.sample.load import load

RESULT = Path(__file__).resolve().parents[1] / "results" / "ablation" / "large_cells.json"
METRICS = ("match_rate.k1", "rmse.k1")
TRAINED = 52
MODEL = "unigen-crystal-small"


def with_relatives(table: TemplateTable) -> list[int]:
    """The large crystals whose multiset of atom counts another formula has too."""
    alike: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index in np.flatnonzero(table.num_atoms > TRAINED).tolist():
        alike[tuple(sorted(table.counts(index).values()))].append(index)
    return [
        index
        for indices in alike.values()
        if len({format_formula(table.counts(other)) for other in indices}) > 1
        for index in indices
    ]


def main() -> None:
    """Draw, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table = read_table(find_cards("models")[MODEL].parent / TABLE)
    wanted = with_relatives(table)
    cells = [table.counts(index) for index in wanted]
    requests = [CrystalRequest(formula=format_formula(cell), n_atoms=sum(cell.values())) for cell in cells]
    drawn = generate(requests, model=load(MODEL, score=False, exclude_formula=True), seed=options.seed)
    ids = [str(table.ids[index]) for index in wanted]
    samples = [
        CrystalEntry(name, each.structure, index=0, reason=each.reason) for name, each in zip(ids, drawn, strict=True)
    ]
    references = [CrystalEntry(name, table[index].to_crystal()) for name, index in zip(ids, wanted, strict=True)]
    report = evaluate_crystals(samples, references, workers=1)
    row = {name: round(report[name] or 0.0, 4) for name in METRICS} | {"of": len(wanted)}
    print(row)
    result = {"model": MODEL, "seed": options.seed, "provenance": provenance(MODEL), "row": row}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
