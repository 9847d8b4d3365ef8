"""CPU-seconds a crystal, by part, against copying the nearest known structure and against a head of 200 steps.

python eval/speed/generate.py --model unigen-crystal-small

One thread. Everything is measured in one process, one after the other, in CPU time; the command line is a process of
its own whose start-up is counted. Requests are distinct compositions (nothing is found in a cache): formulas of the
form AB2C2, A2B3C4, ... with elements drawn by a seed.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measurement import circumstances, write

from unigen.elements import SYMBOLS
from unigen.models.checkpoint import model_folder
from unigen.models.generator import Job
from unigen.models.nearest.generator import NearestGenerator
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.request import CrystalRequest
from unigen.runs.tables import check_sample
from unigen.sample.load import load

SHAPES = ((1, 1, 3), (1, 2, 2), (2, 2, 6), (1, 1, 2), (2, 4), (1, 3), (1, 2, 4), (3, 3, 3), (4, 4), (2, 2, 4))
BATCHES = (1, 64, 512)
REPEATS = {1: 16, 64: 2, 512: 1}
LONG_HEAD = 200


def requests(count: int) -> list[CrystalRequest]:
    """Distinct formulas of 3 to 12 atoms in the cell."""
    rng = np.random.default_rng(0)
    wanted: dict[str, CrystalRequest] = {}
    while len(wanted) < count:
        shape = SHAPES[len(wanted) % len(SHAPES)]
        elements = rng.choice(np.arange(3, 84), size=len(shape), replace=False)
        formula = "".join(f"{SYMBOLS[e]}{n}" for e, n in zip(elements.tolist(), shape, strict=True))
        wanted[formula] = CrystalRequest(formula=formula, n_atoms=sum(shape))
    return list(wanted.values())


def jobs(count: int, seed: int = 0) -> list[Job]:
    """One sample a request."""
    return [Job(request, place, 0, seed) for place, request in enumerate(requests(count))]


def cpu_seconds(work: Callable[[], object], crystals: int, repeats: int) -> float:
    """CPU-seconds a crystal."""
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / (crystals * repeats)


def forget(generator: WyckoffGenerator) -> WyckoffGenerator:
    """The generator without the shortlists of earlier draws."""
    generator.sources.forget()
    return generator


def measure(model: str, nearest: NearestGenerator, batch: int) -> dict[str, float]:
    """All ways to draw a batch, and the parts of the usual one."""
    repeats, wanted = REPEATS[batch], jobs(batch)
    scored, silent, long = (
        load(model, steps=steps, score=score) for steps, score in ((14, True), (14, False), (LONG_HEAD, False))
    )
    assert isinstance(silent, WyckoffGenerator)
    assert isinstance(scored, WyckoffGenerator)
    assert isinstance(long, WyckoffGenerator)
    cells = [job.request.counts or {} for job in wanted]
    drawn = [draft.structure for draft in silent.draw(wanted) if draft.structure is not None]
    return {
        "with_score": cpu_seconds(lambda: forget(scored).draw(wanted), batch, repeats),
        "without_score": cpu_seconds(lambda: forget(silent).draw(wanted), batch, repeats),
        "retrieval": cpu_seconds(lambda: [silent.retriever.shortlist(cell) for cell in cells], batch, repeats),
        "retrieval_and_ranking": cpu_seconds(lambda: forget(silent).sources.ranked(cells), batch, repeats),
        "200_steps": cpu_seconds(lambda: forget(long).draw(wanted), batch, repeats),
        "nearest": cpu_seconds(lambda: nearest.draw(wanted), batch, repeats),
        "checks_of_a_sample": cpu_seconds(lambda: [check_sample(crystal) for crystal in drawn], batch, repeats),
    }


def command_line(model: str, crystals: int, *options: str) -> float:
    """CPU-seconds a crystal of the whole command, from start-up to the last file."""
    code = "from unigen.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.csv"
        rows = [f"r{n},{request.formula},{request.n_atoms}" for n, request in enumerate(requests(crystals))]
        wanted.write_text("\n".join(["id,formula,n_atoms", *rows]) + "\n")
        command = [sys.executable, "-c", code, "generate", "crystal", "--model", model, "--requests", str(wanted)]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*command, "--out", f"{folder}/out", *options], stdout=subprocess.DEVNULL, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / crystals


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="unigen-crystal-small")
    parser.add_argument("--nearest-from", default="oqmd-icsd", help="built dataset that 'nearest' copies from")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, choices=BATCHES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    nearest = load("nearest", retrieve_from=options.nearest_from)
    assert isinstance(nearest, NearestGenerator)
    load(options.model).draw(jobs(4))  # warm-up
    found = {}
    for batch in options.batches:
        found[batch] = measure(options.model, nearest, batch)
        usual = found[batch]["without_score"]
        for name, value in found[batch].items():
            print(f"batch {batch:3d}  {name:22s} {value:8.4f} CPU-s a crystal  {value / usual:6.2f} x", flush=True)
    shell = {
        "2000 crystals": command_line(options.model, 2000),
        "512 crystals": command_line(options.model, 512),
        "512 crystals, no score, no CIF": command_line(options.model, 512, "--no-cif", "--no-score"),
        "1 crystal": command_line(options.model, 1),
    }
    for name, value in shell.items():
        print(f"command line, {name}: {value:.4f} CPU-s a crystal, start-up and files included")
    write(
        "generate",
        facts
        | {"model": model_folder(options.model).name, "nearest_from": options.nearest_from, "solver": "dpm2m"}
        | {"steps": 14, "unit": "CPU-seconds a crystal"}
        | {"by_batch": {batch: {k: round(v, 5) for k, v in each.items()} for batch, each in found.items()}}
        | {
            "ratio_nearest": {b: round(v["nearest"] / v["without_score"], 2) for b, v in found.items()},
            "ratio_200_steps": {b: round(v["200_steps"] / v["without_score"], 2) for b, v in found.items()},
            "command_line": {name: round(value, 5) for name, value in shell.items()},
        },
    )


if __name__ == "__main__":
    main()
