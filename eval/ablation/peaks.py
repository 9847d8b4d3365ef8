"""What is a powder pattern worth that a model is asked for? Crystals of a test set, drawn with their peaks and without.

python eval/ablation/peaks.py runs/octree-crystals-peaks/model --reference mp-20:test --limit 100 --out peaks.json
python eval/ablation/peaks.py runs/wyckoff-peaks/model --retrieve-from crystal-train --anew --reference mp-20:test ...

The pattern of each reference is computed by pymatgen and drawn as a profile, as in pxrd.py (clean; noisy; with an
impurity; strained). The same compositions are drawn with the same random numbers: with no pattern; with the pattern of
each, of every kind; and with the pattern of another reference, to see that it is the pattern that helps. The rows:
match rate of the first sample, and of the best of ``--n`` in hindsight; `pxrd.py` and `unigen generate --rank-by pxrd`
tell what ranking makes of these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pxrd import KINDS, profile

from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.disk import write_text
from unigen.elements import format_formula
from unigen.errors import UserError
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.report import provenance
from unigen.models.generator import Generator, Sample
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.load import load
from unigen.sample.patterns import hears_peaks

NONE, OTHER = "no pattern", "another's"
"""Rows beside those of the kinds of patterns."""


def patterns(references: CrystalDataset, kind: str, folder: Path, seed: int) -> list[Path]:
    """A file a reference, of its simulated pattern."""
    paths = []
    for index in range(len(references)):
        rng = np.random.default_rng([seed, KINDS.index(kind), index])
        path = folder / f"{kind}-{index}.xy"
        profile(references[index], kind, references, rng).to_xy(path)
        paths.append(path)
    return paths


def drawn(
    model: Generator, references: CrystalDataset, paths: Sequence[Path | None], options: argparse.Namespace
) -> list[Sample]:
    """The samples of all references, each asked for the pattern of a file, or for none."""
    requests = [
        CrystalRequest(
            formula=format_formula(references[index].counts),
            n_atoms=len(references[index]) if options.cells else None,
            pxrd=None if path is None else str(path),
            id=str(references.ids[index]),
        )
        for index, path in enumerate(paths)
    ]
    return generate(requests, n=options.n, model=model, seed=options.seed, batch_size=options.batch_size)


def row_of(
    what: str, samples: Sequence[Sample], references: Sequence[CrystalEntry], options: argparse.Namespace
) -> dict[str, Any]:
    """One line of the table."""
    entries = [
        CrystalEntry(str(each.request.id), each.structure, index=each.index, reason=each.reason) for each in samples
    ]
    report = evaluate_crystals(entries, references, "csp", workers=options.workers)
    row: dict[str, Any] = {"asked": what, "of": len(references)}
    for name in dict.fromkeys(("k1", f"k{options.n}")):
        rate, rmse = report.metrics[f"match_rate.{name}"], report.metrics[f"rmse.{name}"]
        row[name] = {part: round(100 * (getattr(rate, part) or 0.0), 1) for part in ("value", "low", "high")}
        row[name]["rmse"] = None if rmse.value is None else round(rmse.value, 4)
    return row


def main() -> None:
    """Draw, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder of a model that was trained with model.peaks")
    parser.add_argument("--reference", required=True, help="dataset, such as mp-20:test")
    parser.add_argument("--limit", type=int, default=100, help="so many references that fit the model, at random")
    parser.add_argument("--n", type=int, default=5, help="samples a composition")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--cells", action="store_true", help="give the number of atoms in the cell, too")
    parser.add_argument("--retrieve-from", help="of a model that follows known structures: which")
    parser.add_argument("--anew", action="store_true", help="follow none of them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if not hears_peaks(options.model):
        raise SystemExit(str(UserError("this model hears no peaks", where=options.model, wanted="model.peaks > 0")))
    followed = {"retrieve_from": options.retrieve_from, "anew": 1e9 if options.anew else None}
    settings = {name: value for name, value in followed.items() if value is not None}
    model = load(options.model, device=options.device, score=False, **settings)
    dataset = open_crystals(options.reference)
    most: int = model.model.config.max_atoms  # type: ignore[attr-defined]
    fitting = np.flatnonzero(dataset.num_atoms <= most)
    chosen = np.random.default_rng(options.seed).permutation(fitting)[: options.limit]
    references = dataset.select(np.sort(chosen))
    entries = [CrystalEntry(str(references.ids[index]), references[index]) for index in range(len(references))]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clean = patterns(references, "clean", Path(folder), options.seed)
        asked: dict[str, Sequence[Path | None]] = {NONE: [None] * len(references), OTHER: [*clean[1:], clean[0]]}
        for kind in options.kinds.split(","):
            asked[kind] = patterns(references, kind, Path(folder), options.seed)
        for what, paths in asked.items():
            start = time.process_time()
            samples = drawn(model, references, paths, options)
            seconds = round((time.process_time() - start) / len(samples), 3)
            rows.append(row_of(what, samples, entries, options) | {"cpu_seconds_each": seconds})
            rates = "  ".join(
                f"{name} {rows[-1][name]['value']:5.1f}" for name in dict.fromkeys(("k1", f"k{options.n}"))
            )
            print(f"{what:12} {rates}  of {len(references)}", flush=True)
    content = {
        "model": Path(options.model).resolve().parent.name,
        "version": model.version,
        "reference": options.reference,
        "n": options.n,
        "cells": options.cells,
        **settings,
        "seed": options.seed,
        "provenance": provenance(options.model),
        "rows": rows,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
