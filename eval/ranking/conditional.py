"""Molecules asked for one property each: one candidate, and the best of several by the chooser, judged by the judge.

python eval/ranking/conditional.py --out conditional --reports eval/results/conditional-qm9

For each property, one after another: requests with the values of real molecules, candidates and what was chosen among
them, and the report of `unigen evaluate conditional` under ``PROPERTY-16-candidates.json``. Killed and started again,
it goes on where it stopped. At the end it prints the table of eval/README.md. Six properties of 1,000 values and 16
candidates each take about an hour of one core that is otherwise idle. Whatever is chosen here (guidance, temperature)
is chosen on ``--dataset qm9:val``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
from pathlib import Path

PROPERTIES = ("alpha", "gap", "homo", "lumo", "mu", "Cv")


def main() -> None:
    """Draw, choose, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="qm9:test", help="whose values are asked for, and the judge's floor")
    parser.add_argument("--values", type=int, default=1000)
    parser.add_argument("--candidates", type=int, default=16)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--predictor", help="that chooses; by default the bundled chooser")
    parser.add_argument("--property", action="append", choices=PROPERTIES, dest="properties")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--reports", type=Path, help="folder that reports are copied to")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    properties = options.properties or PROPERTIES
    reports = {name: _report(name, options) for name in properties}
    print("\n| | " + " | ".join(properties) + " |\n|---|" + "---|" * len(properties))
    for row in ("mae", "mae_random", "mae_atoms_only", "mae_floor"):
        values = [reports[name]["metrics"][f"{row}.{name}"]["value"] for name in properties]
        print(f"| {row} | " + " | ".join(f"{value:.3g}" if value < 100 else f"{value:.0f}" for value in values) + " |")


def _report(name: str, options: argparse.Namespace) -> dict:
    """The report of one property, made unless it is there."""
    requests, run = options.out / f"{name}.csv", options.out / f"{name}-{options.candidates}"
    report = options.out / f"{name}-{options.candidates}-candidates.json"
    if not requests.exists():
        _unigen("data", "requests", options.dataset, "--limit", options.values, "--property", name, "--out", requests)
    if not report.exists():
        chosen = ["--predictor", options.predictor] if options.predictor else []
        ranked = ["--candidates", options.candidates, "--rank-by", "property", *chosen]
        how = [*(ranked if options.candidates > 1 else []), "--guidance", options.guidance, "--batch-size", 512]
        _unigen(
            "generate",
            "molecule",
            "--model",
            "unigen-molecule-small",
            "--requests",
            requests,
            *how,
            "--no-picture",
            "--no-page",
            "--out",
            run,
        )
        _unigen("evaluate", "conditional", run, "--reference", options.dataset, "--no-page", "--out", report)
    if options.reports:
        options.reports.mkdir(parents=True, exist_ok=True)
        shutil.copy(report, options.reports / report.name)
    return json.loads(report.read_text())


def _unigen(*arguments: object) -> None:
    subprocess.run(["unigen", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
