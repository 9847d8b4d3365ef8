"""What does a setting of the decoder change? The same requests with one setting changed at a time.

python eval/ablation/decode.py --retrieve-from crystal-train:train --reference crystal-train:val --max-atoms 20 \
    --vary departure=1.0 --vary departure=0.5 --vary temperature=1.0 --name decode

One unranked sample a reference; no structure of the reference's own formula is followed. The first row are the settings
as they stand, the second copies the nearest known structure and learns nothing. The table is written to
eval/results/ablation/NAME.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.report import provenance
from unigen.models.generator import Generator
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ablation"
METRICS = ("match_rate.k1", "rmse.k1", "crmse.k1")


def judge(generator: Generator, references: CrystalDataset, seed: int) -> dict[str, Any]:
    """One sample of each reference's composition, held against it."""
    crystals = list(references)
    requests = [CrystalRequest(formula=crystal.formula, n_atoms=len(crystal)) for crystal in crystals]
    ids = references.ids.tolist()
    drawn = generate(requests, model=generator, seed=seed)
    samples = [
        CrystalEntry(name, sample.structure, index=0, reason=sample.reason)
        for name, sample in zip(ids, drawn, strict=True)
    ]
    report = evaluate_crystals(samples, [CrystalEntry(*pair) for pair in zip(ids, crystals, strict=True)], workers=1)
    return {name: round(report[name] or 0.0, 4) for name in METRICS} | {"of": len(crystals)}


def main() -> None:
    """Run all variants, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--name", required=True)
    parser.add_argument("--model", default="unigen-crystal-small")
    parser.add_argument("--retrieve-from", required=True)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--max-atoms", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vary", action="append", default=[], help="name=value of a setting, one variant each")
    options = parser.parse_args()
    references = open_crystals(options.reference)
    references = references.select(references.num_atoms <= options.max_atoms)
    known: dict[str, Any] = {"retrieve_from": options.retrieve_from, "exclude_formula": True}
    rows = [{"settings": "as they stand"} | judge(load(options.model, score=False, **known), references, options.seed)]
    rows.append({"settings": "nearest"} | judge(load("nearest", **known), references, options.seed))
    for change in options.vary:
        name, _, value = change.partition("=")
        usual = getattr(load(options.model, score=False, **known).settings, name)
        generator = load(options.model, score=False, **known, **{name: type(usual)(value)})
        rows.append({"settings": change} | judge(generator, references, options.seed))
        print(json.dumps(rows[-1]), flush=True)
    table = {"reference": options.reference, "model": options.model, "provenance": provenance(options.model)}
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / f"{options.name}.json").write_text(json.dumps(table | {"rows": rows}, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
