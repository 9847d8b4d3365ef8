"""CPU-seconds a crystal of ten atoms, against the same model without a cache and with a head of 200 steps.

python eval/speed/generate.py --model unigen-crystal-small

One thread. Everything is measured in one process, one after the other, in CPU time; the command line is a process of
its own whose start-up is counted. Without a cache the whole prefix is read again for every atom; its structures must
equal the cached ones, but for the few whose ODE stands at a fork and makes much of a rounding error.
"""

# ruff: noqa: SLF001 - the decoder without a cache is made of the parts of the one with it

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

from unigen.batch import TokenBatch
from unigen.models.autoregressive import Autoregressive
from unigen.request import CrystalRequest
from unigen.sample import decoder
from unigen.sample.composition import Counts
from unigen.sample.decoder import DecodeSettings, Noise, decode
from unigen.sample.job import Job
from unigen.sample.load import load
from unigen.sample.network import NetworkGenerator
from unigen.tokens.sequence import Channel, Sequence

FORMULAS = ("SrTiO3", "Fe2O3", "NaCl", "LiFeO3", "Al2O3", "CaTiO3", "GaAs", "KNbO3", "ZnS", "LaAlO3")
ATOMS = 10
BATCHES = (1, 64, 512)
REPEATS = {1: 16, 64: 2, 512: 1}
LONG_HEAD = 200
TOLERANCE = 1e-3
"""Of any number of a crystal: rounding errors of single precision, through ten slots of 14 solver steps each."""

ALIKE = 0.95
"""Share of the crystals that must be within it."""


def decode_without_cache(
    model: Autoregressive, cells: list[Counts], noise: Noise, settings: DecodeSettings
) -> list[Sequence]:
    """The same draws as `decode`; the backbone reads the prefix again for each slot."""
    plan = decoder._plan(cells, torch.device("cpu"))
    prompt = torch.tensor([2 * len(cell) + 2 for cell in cells])
    rows = torch.arange(len(cells))
    with torch.no_grad():
        for slot in range(ATOMS):
            here = prompt + slot - 1
            reach = int(here.max()) + 2
            prefix = TokenBatch(
                plan.symbols[:, :reach],
                plan.vectors[:, :reach],
                plan.channel[:, :reach],
                plan.descriptor[:, :reach],
                plan.lengths.clamp(max=reach),
            )
            h = model(prefix)[rows, here]
            kind, normal = (Channel.FRACTIONAL, noise.sites[:, slot - 1]) if slot else (Channel.LATTICE, noise.lattice)
            plan.vectors[rows, here + 1] = decoder._draw(model, kind, h, normal, settings)
    return decoder._sequences(plan, plan.vectors)


def cpu_seconds(work: Callable[[], object], crystals: int, repeats: int) -> float:
    """CPU-seconds a crystal."""
    started = time.process_time()
    for _ in range(repeats):
        work()
    return (time.process_time() - started) / (crystals * repeats)


def jobs(count: int) -> list[Job]:
    """As a user would ask: so many formulas, cells of ten atoms."""
    wanted = [CrystalRequest(formula=formula, n_atoms=ATOMS) for formula in FORMULAS]
    return [Job(wanted[n % len(wanted)], n % len(wanted), n // len(wanted), 0, 0) for n in range(count)]


def inputs(count: int) -> tuple[list[Counts], Noise]:
    """Cells and random numbers for the decoder alone."""
    cells = [job.request.counts or {} for job in jobs(count)]
    rng = np.random.default_rng(0)
    lattice, sites = rng.standard_normal((count, 6)), rng.standard_normal((count, ATOMS - 1, 3))
    return cells, Noise(torch.from_numpy(lattice).float(), torch.from_numpy(sites).float())


def share_alike(one: list[Sequence], other: list[Sequence]) -> float:
    """Share of the crystals no number of which differs by more than the tolerance, coordinates on the torus."""
    alike = 0
    for first, second in zip(one, other, strict=True):
        between = np.abs(first.vectors - second.vectors)
        site = first.channel == Channel.FRACTIONAL
        between[site] = np.minimum(between[site], 1 - between[site])
        alike += bool(between.max() < TOLERANCE)
    return alike / len(one)


def measure(network: NetworkGenerator, silent: NetworkGenerator, batch: int) -> dict[str, float]:
    """All ways to draw a batch."""
    repeats = REPEATS[batch]
    cells, noise = inputs(batch)
    model, usual, long = network.model, DecodeSettings(), DecodeSettings(steps=LONG_HEAD)
    found = {
        "with_score": cpu_seconds(lambda: network.draw(jobs(batch)), batch, repeats),
        "without_score": cpu_seconds(lambda: silent.draw(jobs(batch)), batch, repeats),
        "decoder": cpu_seconds(lambda: decode(model, cells, noise, usual), batch, repeats),
        "decoder_without_cache": cpu_seconds(lambda: decode_without_cache(model, cells, noise, usual), batch, repeats),
        "decoder_200_steps": cpu_seconds(lambda: decode(model, cells, noise, long), batch, max(repeats // 8, 1)),
    }
    alike = share_alike(decode(model, cells, noise, usual), decode_without_cache(model, cells, noise, usual))
    assert alike >= ALIKE, f"the decoder without a cache draws other structures: {alike:.1%} alike"
    return found | {"share_alike_without_cache": alike}


def command_line(model: str, crystals: int, *options: str) -> float:
    """CPU-seconds a crystal of the whole command, from start-up to the last file."""
    code = "from unigen.cli import main; main()"
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.csv"
        rows = [f"r{n},{FORMULAS[n % len(FORMULAS)]},{ATOMS}" for n in range(crystals)]
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
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, choices=BATCHES)
    model = parser.parse_args().model
    batches = parser.parse_args().batches
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    network, silent = load(model), load(model, score=False)
    assert isinstance(network, NetworkGenerator)
    assert isinstance(silent, NetworkGenerator)
    network.draw(jobs(2))  # warm-up
    found = {}
    for batch in batches:
        found[batch] = measure(network, silent, batch)
        cached = found[batch]["decoder"]
        for name, value in list(found[batch].items())[:-1]:
            print(
                f"batch {batch:3d}  {name:24s} {value:8.4f} CPU-s a crystal  {value / cached:6.2f} x decoder",
                flush=True,
            )
    shell = {
        "512 crystals": command_line(model, 512),
        "512 crystals, no CIF": command_line(model, 512, "--no-cif"),
        "1 crystal": command_line(model, 1),
    }
    for name, value in shell.items():
        print(f"command line, {name}: {value:.4f} CPU-s a crystal, start-up and files included")
    write(
        "generate",
        facts
        | {"model": network.name, "weights": network.version, "atoms": ATOMS, "solver": "dpm2m", "steps": 14}
        | {"unit": "CPU-seconds a crystal"}
        | {"by_batch": {batch: {k: round(v, 5) for k, v in each.items()} for batch, each in found.items()}}
        | {
            "ratio_without_cache": {b: round(v["decoder_without_cache"] / v["decoder"], 2) for b, v in found.items()},
            "ratio_200_steps": {b: round(v["decoder_200_steps"] / v["decoder"], 2) for b, v in found.items()},
            "command_line": {name: round(value, 5) for name, value in shell.items()},
        },
    )


if __name__ == "__main__":
    main()
