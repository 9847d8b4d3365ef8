"""How far are predicted properties off, and what do they add to the composition alone?

    python eval/prediction/properties.py --model unigen-crystal-predictor --known crystal-properties:train \
        --reference mp-20:test --out eval/results/prediction/mp-20-test.json
    python eval/prediction/properties.py --model unigen-qm9-predictor --known qm9:train \
        --reference qm9:test --out eval/results/prediction/qm9-test.json

Mean absolute error of each property over the structures of the reference whose value is known, with bootstrap
intervals: of the mean of what is known; of the fit that is linear in the composition (of molecules in the numbers of
atoms, of crystals in their shares); of the nearest known composition, whose mean value is copied (chemical distance,
nothing learned, no structure looked at; of molecules the same formula, or else the linear fit); and of the model. Of
crystals also by chemical distance to what is known, and no crystal of the reference may be of a composition that is
known. Where the model has error bars, what share of the errors they hold.
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
from unigen.data.molecule_store import MoleculeDataset, open_molecules
from unigen.disk import write_text
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.eval.report import provenance
from unigen.eval.statistics import means_with_intervals
from unigen.parallel import ProgressBar
from unigen.retrieval.compositions import Compositions
from unigen.retrieval.neighbours import NeighbourIndex
from unigen.sample.predict import Predictions, open_predictor

NEAR = (0.1, 0.3, 0.6)
"""Chemical distances between the classes of the breakdown, as for match rates."""


AnyDataset = CrystalDataset | MoleculeDataset


def counts_of(dataset: AnyDataset) -> np.ndarray:
    """Atoms of each element."""
    counts = np.zeros((len(dataset), len(SYMBOLS)))
    np.add.at(counts, (np.repeat(np.arange(len(dataset)), dataset.num_atoms), dataset.numbers), 1)
    return counts


def linear(known: AnyDataset, values: np.ndarray, asked: AnyDataset) -> np.ndarray:
    """The least-squares fit to the composition, of those whose value is known."""

    def described(dataset: AnyDataset) -> np.ndarray:
        counts = counts_of(dataset)
        if isinstance(dataset, CrystalDataset):  # whose shares add up to one: that is the constant
            return counts / counts.sum(1, keepdims=True)
        return np.column_stack([counts, np.ones(len(counts))])

    has_value = np.isfinite(values)
    return described(asked) @ np.linalg.lstsq(described(known)[has_value], values[has_value], rcond=None)[0]


def same_formula(known: MoleculeDataset, values: np.ndarray, asked: MoleculeDataset) -> np.ndarray:
    """The mean value of the known isomers of each molecule; where there is none, the linear fit."""
    has_value = np.isfinite(values)
    sums: dict[bytes, list[float]] = {}
    for formula, value in zip(counts_of(known)[has_value].astype(np.int16), values[has_value], strict=True):
        sums.setdefault(formula.tobytes(), []).append(float(value))
    fitted = linear(known, values, asked)
    formulas = counts_of(asked).astype(np.int16)
    return np.array([np.mean(sums.get(each.tobytes(), [fit])) for each, fit in zip(formulas, fitted, strict=True)])


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
    return {name: round(float(getattr(metric, field) or 0.0), 6) for name, field in _FIELDS.items()}


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
    known: AnyDataset
    reference: AnyDataset
    if predictor.of == "crystals":
        known, reference = open_crystals(options.known), open_crystals(options.reference)
        shared = Compositions.of_dataset(known).formulas & Compositions.of_dataset(reference).formulas
        if shared:
            raise UserError("the reference has compositions that are known", got=f"{len(shared)} formulas")
    else:
        known, reference = open_molecules(options.known), open_molecules(options.reference)
    predictions = predictor.predict(list(reference))
    content: dict[str, Any] = {
        "model": predictor.name,
        "version": predictor.version,
        "known": options.known,
        "reference": options.reference,
        "provenance": provenance(options.model),
        "without_prediction": sum(bool(reason) for reason in predictions.reasons),
        "properties": {
            name: property_errors(predictions, place, known, reference, predictor.units[place], options.seed)
            for place, name in enumerate(predictor.properties)
        },
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")
    rows = ["mean", "linear in composition", "nearest composition", "model"]
    table = Table("property", "structures", *rows, "inside error bars")
    for name, each in content["properties"].items():
        cells = [f"{row['mae']:.4f} ({row['low']:.4f} to {row['high']:.4f})" for row in map(each["rows"].get, rows)]
        inside = each.get("inside_error_bars")
        shown = "" if inside is None else f"{inside:.1%}"
        table.add_row(f"{name} {each['unit']}".strip(), str(each["structures"]), *cells, shown)
    Console(width=180).print(table)


def property_errors(
    predictions: Predictions, place: int, known: AnyDataset, reference: AnyDataset, unit: str, seed: int
) -> dict[str, Any]:
    """All rows of one property."""
    name = predictions.properties[place]
    truth, values = reference.properties[name], known.properties[name]
    asked = np.isfinite(truth)
    subset, target = reference.select(asked), truth[asked]
    mean, found = float(np.nanmean(values)), predictions.values[asked, place]
    told = np.where(np.isfinite(found), found, mean)  # what nothing is said of counts with the mean, not as absent
    distance = None
    if isinstance(known, CrystalDataset) and isinstance(subset, CrystalDataset):
        copied, distance = nearest(known, values, subset)
    else:
        assert isinstance(known, MoleculeDataset)
        assert isinstance(subset, MoleculeDataset)
        copied = same_formula(known, values, subset)
    guesses = {
        "mean": np.full(len(target), mean),
        "linear in composition": linear(known, values, subset),
        "nearest composition": copied,
        "model": told,
    }
    rows = {label: judged(guess, target, seed) for label, guess in guesses.items()}
    result: dict[str, Any] = {"unit": unit, "structures": len(target), "rows": rows}
    bars = predictions.errors[asked, place]
    if np.isfinite(bars).any():
        result["inside_error_bars"] = round(float(np.nanmean(np.abs(told - target) <= bars)), 4)
    if distance is not None:
        labels = [f"below {NEAR[0]}", *(f"{a} to {b}" for a, b in pairwise(NEAR)), f"above {NEAR[-1]}"]
        classes = np.digitize(distance, NEAR)
        result["by_chemical_distance"] = {
            label: {
                "crystals": int((classes == index).sum()),
                "nearest": round(float(np.abs(copied - target)[classes == index].mean()), 4),
                "model": round(float(np.abs(told - target)[classes == index].mean()), 4),
            }
            for index, label in enumerate(labels)
            if (classes == index).any()
        }
    return result


if __name__ == "__main__":
    main()
