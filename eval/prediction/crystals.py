"""How far are predicted properties of crystals off, and what do they add to the composition alone?

    python eval/prediction/crystals.py --model unigen-crystal-predictor --known crystal-properties:train \
        --reference mp-20:test --out eval/results/prediction/mp-20-test.json

Mean absolute error of each property over the crystals of the reference whose value is known, with bootstrap intervals:
of the mean of what is known; of the fit that is linear in the composition; of the nearest known composition, whose mean
value is copied (chemical distance, nothing learned, no structure looked at); and of the model. Beside it what share of
the errors the model's error bars hold, and how far the model is off by chemical distance to what is known. No crystal
of the reference may be of a composition that is known.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.disk import write_text
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.eval.report import provenance
from unigen.eval.statistics import means_with_intervals
from unigen.parallel import ProgressBar
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.sample.predict import open_predictor

NEAR = (0.1, 0.3, 0.6)
"""Chemical distances between the classes of the breakdown, as for match rates."""


def linear(known: CrystalDataset, values: np.ndarray, asked: CrystalDataset) -> np.ndarray:
    """The least-squares fit to shares of elements, of those whose value is known."""

    def shares(dataset: CrystalDataset) -> np.ndarray:
        counts = np.zeros((len(dataset), len(SYMBOLS)))
        np.add.at(counts, (np.repeat(np.arange(len(dataset)), dataset.num_atoms), dataset.numbers), 1)
        return counts / counts.sum(1, keepdims=True)

    has_value = np.isfinite(values)
    return shares(asked) @ np.linalg.lstsq(shares(known)[has_value], values[has_value], rcond=None)[0]


def nearest(known: CrystalDataset, values: np.ndarray, asked: CrystalDataset) -> tuple[np.ndarray, np.ndarray]:
    """The mean value of the known crystals of the nearest formula (of all where none fits), and how far it is."""
    known = known.select(np.isfinite(values))
    values = values[np.isfinite(values)]
    index = NeighbourIndex.fit(Compositions.of_dataset(known))
    compositions = Compositions.of_dataset(known)
    found, distance = np.full(len(asked), values.mean()), np.full(len(asked), np.inf)
    wanted = Compositions.of_dataset(asked)
    with ProgressBar("nearest compositions", len(asked)) as bar:
        for row in range(len(asked)):
            try:
                first = next(index.of_formula(wanted.counts(row)))
            except UserError:  # no known cell has these counts
                bar.advance(1)
                continue
            same = index.same_formula(compositions.counts(first.source))
            found[row], distance[row] = values[same].mean(), first.distance
            bar.advance(1)
    return found, distance


def judged(found: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, Any]:
    """Mean absolute error with its interval."""
    errors = {"mae": np.abs(found - truth)}
    (metric,) = means_with_intervals(errors, resamples=1000, confidence=0.95, seed=seed).values()
    return {name: round(float(getattr(metric, field) or 0.0), 4) for name, field in _FIELDS.items()}


_FIELDS = {"mae": "value", "low": "low", "high": "high"}


def main() -> None:
    """Judge, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="unigen-crystal-predictor")
    parser.add_argument("--known", default="crystal-properties:train")
    parser.add_argument("--reference", default="mp-20:test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    predictor = open_predictor(options.model)
    known, reference = open_crystals(options.known), open_crystals(options.reference)
    shared = Compositions.of_dataset(known).formulas & Compositions.of_dataset(reference).formulas
    if shared:
        raise UserError("the reference has compositions that are known", got=f"{len(shared)} formulas")
    predictions = predictor.predict(list(reference))
    unseen = sum(bool(reason) for reason in predictions.reasons)
    content: dict[str, Any] = {
        "model": predictor.name,
        "version": predictor.version,
        "known": options.known,
        "reference": options.reference,
        "provenance": provenance(options.model),
        "without_prediction": unseen,
        "properties": {},
    }
    for place, (name, unit) in enumerate(zip(predictor.properties, predictor.units, strict=True)):
        truth, values = reference.properties[name], known.properties[name]
        asked = np.isfinite(truth)
        subset, target = reference.select(asked), truth[asked]
        copied, distance = nearest(known, values, subset)
        mean = float(np.nanmean(values))
        # a crystal nothing is said of counts with the mean: failures stay in the denominator
        told = np.where(np.isfinite(predictions.values[asked, place]), predictions.values[asked, place], mean)
        bars = predictions.errors[asked, place]
        rows = {
            "mean": judged(np.full(len(target), mean), target, options.seed),
            "linear in composition": judged(linear(known, values, subset), target, options.seed),
            "nearest composition": judged(copied, target, options.seed),
            "model": judged(told, target, options.seed),
        }
        classes = np.digitize(distance, NEAR)
        names = [
            f"below {NEAR[0]}",
            *(f"{a} to {b}" for a, b in pairwise(NEAR)),
            f"above {NEAR[-1]}",
        ]
        by_distance = {
            label: {
                "crystals": int((classes == index).sum()),
                "nearest": round(float(np.abs(copied - target)[classes == index].mean()), 4),
                "model": round(float(np.abs(told - target)[classes == index].mean()), 4),
            }
            for index, label in enumerate(names)
            if (classes == index).any()
        }
        content["properties"][name] = {
            "unit": unit,
            "crystals": len(target),
            "rows": rows,
            "inside_error_bars": round(float(np.nanmean(np.abs(told - target) <= bars)), 4),
            "by_chemical_distance": by_distance,
        }
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    table = Table("property", "crystals", "mean", "linear", "nearest", predictor.name, "inside error bars")
    for name, each in content["properties"].items():
        cells = [f"{row['mae']:.4f} ({row['low']:.4f} to {row['high']:.4f})" for row in each["rows"].values()]
        table.add_row(f"{name} ({each['unit']})", str(each["crystals"]), *cells, f"{each['inside_error_bars']:.1%}")
    Console(width=180).print(table)


if __name__ == "__main__":
    main()
