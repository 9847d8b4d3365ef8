"""Which numbers choose the right candidate, and how much should each weigh? Fitted on validation, held to cross-checks.

unigen generate crystal --requests val.csv --candidates 20 --rank-by energy --n 1 --out val-energy ...
python eval/ablation/ranking.py val-energy --reference mp-20:val --fit --name ranking-mp-20-val

A request counts as right where the candidate that is put first matches the reference; where none matches it is wrong.
Rows: the first candidate drawn, the highest score, energies as drawn and at the best volume, the latter with a nat of
the generator's log probability worth so many eV/atom, and a conditional logit over more features (a softmax over the
candidates of a request, maximum likelihood of the matching ones), whose choices are made in ten folds: by weights that
never saw the request. The best in hindsight bounds them all.

With ``--orders mp-20`` the row that ``--rank-by energy`` gives is also split by what that data set's own energies say:
is the reference the only known structure of its composition, does the potential put all known ones in the same order,
does it contradict that order; is the reference the lowest of them at all; and is the answer, where it is not the
reference, another known structure of that composition?
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.optimize import minimize

from unigen.crystals.matching import BoundedMatcher, MatchSettings
from unigen.data.compositions import reduced_formulas
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.disk import write_text
from unigen.energies.potential import find_potential
from unigen.energies.volume_scan import ScannedCrystals, ScanSettings
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.eval.report import provenance
from unigen.eval.statistics import means_with_intervals
from unigen.journal import read_lines
from unigen.parallel import Workers
from unigen.ranking.energy import LOG_PROBABILITY_WEIGHT
from unigen.runs.crystal_files import crystal_of
from unigen.runs.ranking import CANDIDATES, TABLE, read_table
from unigen.sample.rank import POTENTIAL

RESULTS = Path(__file__).resolve().parents[1] / "results" / "ablation"
WEIGHTS = (0.0, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1)
HIGHEST = 0.5
"""eV/atom above the lowest candidate at which energies are cut: beyond it a structure is wrong, and how wrong it is
says nothing of the weights among the good ones."""

FEATURES = ("energy_above_lowest", "log_probability", "volume_change", "place")
FOLDS = 10


def table(run: Path, reference: str) -> dict[str, np.ndarray]:
    """A row a request, a column a candidate: whether it matches, its displacement, and the features; NaN where none."""
    _, lines = read_table(run / TABLE)
    samples = list(read_lines(run / CANDIDATES / "samples.jsonl"))
    requests = 1 + max(line["request_index"] for line in samples)
    shape = requests, 1 + max(line["index"] for line in samples)
    columns = {
        name: np.full(shape, np.nan)
        for name in ("matched", "rms", "energy", "energy_as_drawn", "log_probability", "score", "scale", "place")
    }
    references = open_crystals(reference)
    wanted = {str(line["id"]) for line in samples}
    known = [
        CrystalEntry(name, crystal)
        for name, crystal in zip(references.ids.tolist(), references, strict=True)
        if name in wanted
    ]
    entries = [
        CrystalEntry(str(line["id"]), crystal_of(line), index=line["index"], reason=line.get("reason", ""))
        for line in samples
    ]
    report = evaluate_crystals(entries, known, workers=1, progress=True)
    for line, row in zip(samples, report.rows, strict=True):
        place = line["request_index"], line["index"]
        columns["matched"][place] = bool(row.matched)
        columns["rms"][place] = np.nan if row.rms is None else row.rms
        columns["score"][place] = -np.inf if line["score"] is None else line["score"]
        columns["log_probability"][place] = line.get("source", {}).get("log_probability", 0.0)
        columns["place"][place] = np.log1p(line["index"])
    for line in lines:
        place = int(line["request_index"]), int(line["candidate"])
        if line["energy_per_atom"]:
            columns["energy"][place] = float(line["energy_per_atom"])
            columns["energy_as_drawn"][place] = float(line["energy_per_atom_as_drawn"])
            columns["scale"][place] = float(line["edges_scaled_by"])
    return columns


def features(columns: dict[str, np.ndarray]) -> np.ndarray:
    """Features of every candidate, (requests, candidates, features); NaN where it has no energy."""
    lowest = np.nanmin(np.where(np.isnan(columns["energy"]), np.inf, columns["energy"]), axis=1, keepdims=True)
    above = np.minimum(columns["energy"] - lowest, HIGHEST)
    change = np.abs(3 * np.log(columns["scale"]))
    return np.stack([above, columns["log_probability"], change, columns["place"]], axis=-1)


def fit(x: np.ndarray, matched: np.ndarray) -> np.ndarray:
    """Weights that make the matching candidates likeliest, of requests where some match and some do not."""
    usable = ~np.isnan(x).any(-1)
    good = usable & (matched == 1)
    rows = good.any(1) & (usable & ~good).any(1)
    x, usable, good = np.nan_to_num(x[rows]), usable[rows], good[rows]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        merit = np.where(usable, x @ weights, -np.inf)
        all_ = np.exp(merit - merit.max(1, keepdims=True))
        right = np.where(good, all_, 0.0)
        p, q = all_ / all_.sum(1, keepdims=True), right / right.sum(1, keepdims=True)
        value = -np.log(right.sum(1) / all_.sum(1)).mean()
        gradient = ((p - q)[..., None] * x).sum(1).mean(0)
        return value + 1e-4 * weights @ weights, gradient + 2e-4 * weights

    return minimize(loss, np.zeros(x.shape[-1]), jac=True, method="L-BFGS-B").x


def chosen(columns: dict[str, np.ndarray], merit: np.ndarray) -> dict[str, Any]:
    """How often the candidate of highest merit is right, and how far off it then is."""
    place = np.nanargmax(np.where(np.isnan(merit), -np.inf, merit), axis=1)
    rows = np.arange(len(place))
    right = np.nan_to_num(columns["matched"][rows, place]) == 1
    metric = means_with_intervals({"right": right}, resamples=2000, confidence=0.95, seed=0)["right"]
    rms = columns["rms"][rows, place][right]
    ends = zip(("right", "low", "high"), (metric.value, metric.low, metric.high), strict=True)
    return {name: round(100 * (value or 0.0), 2) for name, value in ends} | {"rmse": round(float(rms.mean()), 4)}


ALIKE = 0.001
"""eV/atom between the formation energies of two structures below which their order is not held against a potential."""


def polymorphs(run: Path, known: CrystalDataset) -> list[list[int]]:
    """Of every request, whose ids are of the data set, the rows of all its structures of that composition.

    The reference goes first; those without a formation energy are left out behind it.
    """
    formation = known.properties["formation_energy_per_atom"]
    row_of = {str(name): row for row, name in enumerate(known.ids.tolist())}
    wanted = [row_of[request["id"]] for request in yaml.safe_load((run / "run.yaml").read_text())["requests"]]
    formulas = list(reduced_formulas(known))
    rows_of: dict[str, list[int]] = {formulas[row]: [] for row in wanted}
    for row, formula in enumerate(formulas):
        if formula in rows_of and np.isfinite(formation[row]):
            rows_of[formula].append(row)
    return [[row, *(other for other in rows_of[formulas[row]] if other != row)] for row in wanted]


def answers_known(run: Path, known: CrystalDataset, several: list[list[int]]) -> np.ndarray:
    """Of every request, whether its first answer is any of these structures, by the matcher of match rates."""
    answers = {row["request_index"]: crystal_of(row) for row in read_lines(run / "samples.jsonl") if not row["index"]}
    matcher = BoundedMatcher(MatchSettings())
    right = []
    for request, rows in enumerate(several):
        answer = answers[request]
        reduced = None if answer is None else matcher.reduce(answer)
        right.append(
            reduced is not None
            and any(matcher.rms(reduced, matcher.reduce(known[row])).rms is not None for row in rows)
        )
    return np.array(right)


def orders(known: CrystalDataset, several: list[list[int]], potential: str) -> dict[str, np.ndarray]:
    """Groups of requests, by the formation energies that a data set tells of all structures of their compositions.

    Args:
        known: the data set.
        several: its rows of each composition, the reference first.
        potential: whose energies, each at the best volume, are held to that order.
    """
    formation = known.properties["formation_energy_per_atom"]
    rows = sorted({row for each in several if len(each) > 1 for row in each})
    with Workers(1, progress=True) as pool:
        scanned = ScannedCrystals(None, find_potential(potential), ScanSettings())
        scans = scanned.scan([known[row] for row in rows], pool)
    found = (np.nan if scan.energy_per_atom is None else scan.energy_per_atom for scan in scans)
    energy = dict(zip(rows, found, strict=True))

    def contradicted(rows: list[int]) -> bool:
        return any(
            formation[higher] - formation[lower] > ALIKE and not energy[higher] > energy[lower]
            for lower in rows
            for higher in rows
        )

    alone = np.array([len(each) < 2 for each in several])
    against = np.array([len(each) > 1 and contradicted(each) for each in several])
    lowest = np.array([each[0] == min(each, key=formation.__getitem__) for each in several])
    return {
        "its only known structure": alone,
        "several, ordered as by the data set": ~alone & ~against,
        "several, ordered against the data set": against,
        "several, the reference is the lowest": ~alone & lowest,
        "several, the reference is not the lowest": ~alone & ~lowest,
    }


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--fit", action="store_true", help="also fit weights: on validation references")
    parser.add_argument("--orders", metavar="DATASET", help="split by the order of its structures' energies")
    parser.add_argument("--potential", default=POTENTIAL, help="of the run, for --orders")
    options = parser.parse_args()
    columns = table(options.run, options.reference)
    x = features(columns)
    folds = np.arange(len(x)) % FOLDS
    subsets: dict[str, list[int]] = {
        "energy, log probability": [0, 1],
        "energy, log probability, volume change": [0, 1, 2],
        "energy, log probability, volume change, place": [0, 1, 2, 3],
    }
    first = -np.broadcast_to(np.arange(x.shape[1], dtype=float), x.shape[:2])
    rows: dict[str, Callable[[], np.ndarray]] = {
        "first": lambda: first,
        "highest score": lambda: columns["score"],
        "log probability": lambda: columns["log_probability"],
        "energy as drawn": lambda: -columns["energy_as_drawn"],
        "best in hindsight": lambda: np.nan_to_num(columns["matched"]) - 1e-3 * np.nan_to_num(columns["rms"], nan=1.0),
    }
    rows |= {
        f"energy at the best volume, {weight} eV/atom a nat": (
            lambda weight=weight: weight * columns["log_probability"] - columns["energy"]
        )
        for weight in WEIGHTS
    }
    result: dict[str, Any] = {name: chosen(columns, merit()) for name, merit in rows.items()}
    for name, used in subsets.items() if options.fit else ():
        merit = np.full(x.shape[:2], np.nan)
        for fold in range(FOLDS):
            weights = fit(x[folds != fold][..., used], columns["matched"][folds != fold])
            merit[folds == fold] = x[folds == fold][..., used] @ weights
        weights = fit(x[..., used], columns["matched"])
        result[f"logit: {name}"] = chosen(columns, merit) | {
            "weights": dict(zip([FEATURES[place] for place in used], weights.round(3).tolist(), strict=True)),
            "eV/atom a nat": round(float(weights[1] / -weights[0]), 4),
        }
    said: dict[str, Any] = {}
    if options.orders:
        known = open_crystals(options.orders)
        several = polymorphs(options.run, known)
        any_known = answers_known(options.run, known, several)
        merits = {
            "first": first,
            "chosen": LOG_PROBABILITY_WEIGHT * columns["log_probability"] - columns["energy"],
            "best in hindsight": rows["best in hindsight"](),
        }
        said = {"first answer is any known structure": round(100 * float(any_known.mean()), 2), "splits": {}}
        for name, group in orders(known, several, options.potential).items():
            part = {column: values[group] for column, values in columns.items()}
            said["splits"][name] = {
                "requests": int(group.sum()),
                **{of: chosen(part, merit[group]) for of, merit in merits.items()},
                "first answer is any known structure": round(100 * float(any_known[group].mean()), 2),
            }
    counts = {"requests": len(x), "candidates": x.shape[1]}
    result = counts | {"rows": result} | said | {"provenance": provenance(str(options.run))}
    for name, row in result["rows"].items():
        print(f"{name:55s} {row['right']:6.2f} ({row['low']:.1f} to {row['high']:.1f})  {row['rmse']:.4f}")
    for name, split in said.get("splits", {}).items():
        shares = ", ".join(f"{of} {split[of]['right']:.1f}" for of in merits)
        among = split["first answer is any known structure"]
        print(f"{name:45s} {split['requests']:5d}: {shares}, any known structure {among:.1f}")
    if said:
        print(f"any known structure: {said['first answer is any known structure']:.1f}")
    write_text(RESULTS / f"{options.name}.json", json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
