"""CPU-seconds of `unigen evaluate crystals --protocol denovo`, with the reference's symmetry kept and without.

unigen generate crystal --n 2000 --no-score --no-cif --out samples
python eval/speed/evaluate.py samples --reference crystal-train:train

One process. The space groups of a dataset's crystals are kept beside it: the first evaluation against it finds them,
the next ones read them. Both are measured, in turns; reports must have the same numbers.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from pathlib import Path

from measurement import circumstances, cpu_seconds, write

from unigen.data.dataset_file import resolve_dataset
from unigen.eval.crystals.space_groups import FILE


def evaluated(samples: Path, reference: str) -> tuple[float, dict]:
    """CPU-seconds of the command, and its report."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        words = ("evaluate", "crystals", samples, "--reference", reference, "--protocol", "denovo", "--no-page")
        used = cpu_seconds(("-m", "unigen", *words, "--quiet", "--workers", "1", "--out", report))
        return used, json.loads(report.read_text(encoding="utf-8"))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", type=Path)
    parser.add_argument("--reference", required=True, help="a built dataset, such as crystal-train:train")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    facts = circumstances(threads=1)
    kept = resolve_dataset(options.reference)[0].with_name(FILE)
    seconds: dict[str, list[float]] = {"first": [], "next": []}
    found = {}
    for _ in range(options.turns):
        kept.unlink(missing_ok=True)
        for name, times in seconds.items():
            used, found[name] = evaluated(options.samples.resolve(), options.reference)
            times.append(used)
        if found["first"]["metrics"] != found["next"]["metrics"]:
            raise ValueError("what is kept changes numbers")
    medians = {name: round(statistics.median(times), 1) for name, times in seconds.items()}
    counts = {"samples": found["next"]["counts"]["generated"], "references": found["next"]["counts"]["references"]}
    ratio = round(statistics.median(a / b for a, b in zip(*seconds.values(), strict=True)), 2)
    print(f"{counts}: first {medians['first']} CPU-s, next {medians['next']} CPU-s, {ratio} times less")
    write("evaluate", facts | counts | {"turns": options.turns, "cpu_seconds": medians, "ratio": ratio})


if __name__ == "__main__":
    main()
