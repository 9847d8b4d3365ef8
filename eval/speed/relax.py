"""Seconds of a relaxation, in batches against one by one (ASE's FIRE with the potential's own calculator), in one run.

python eval/speed/relax.py --crystals mp-20:test --count 32 --batch 16 --potential chgnet --device cpu

Both take the same crystals, their atoms moved by 0.1 Angstrom, in turns of a part each, so that a busy machine slows
both. On a CPU threads are kept to one.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import torch
from measurement import circumstances, write

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.energies.potential import find_potential
from unigen.energies.relaxation import Relaxation, RelaxSettings, relax, relax_together

MOVED = 0.1
"""Angstrom, standard deviation of every coordinate."""


def drawn(name: str, count: int, seed: int = 0) -> list[Crystal]:
    """Crystals of a built dataset, moved out of their minima."""
    rng = np.random.default_rng(seed)
    dataset = open_crystals(name)
    chosen = [dataset[index] for index in rng.permutation(len(dataset))[:count].tolist()]
    return [
        Crystal(
            crystal.numbers,
            crystal.frac_coords + rng.normal(scale=MOVED, size=(len(crystal), 3)) @ np.linalg.inv(crystal.lattice),
            crystal.lattice,
        )
        for crystal in chosen
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crystals", default="mp-20:test", help="a built dataset")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--potential", default="chgnet")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--steps", type=int, default=20, help="of FIRE, at most")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    potential = find_potential(options.potential, device=options.device, batch=options.batch)
    settings, compute = RelaxSettings(max_steps=options.steps), potential.batch_calculator()
    crystals = drawn(options.crystals, options.count)
    relax(crystals[0], potential, RelaxSettings(max_steps=2))  # the first call is slow
    seconds, steps = {"one_by_one": 0.0, "together": 0.0}, {"one_by_one": 0, "together": 0}

    def add(name: str, started: float, found: list[Relaxation]) -> None:
        seconds[name] += time.perf_counter() - started
        steps[name] += sum(1 + result.steps for result in found)

    for first in range(0, len(crystals), options.batch):
        part = crystals[first : first + options.batch]
        started = time.perf_counter()
        add("one_by_one", started, [relax(crystal, potential, settings) for crystal in part])
        started = time.perf_counter()
        add("together", started, [result for _, result in relax_together(part, compute, settings, options.batch)])
    each = {name: round(seconds[name] / steps[name], 5) for name in seconds}
    ratio = round(each["one_by_one"] / each["together"], 3)
    print(f"seconds a structure and step: {each}; together {ratio} times faster")
    facts = vars(options) | circumstances(threads=1) | {"potential": potential.identity}
    if options.device != "cpu":
        facts["device"] = torch.cuda.get_device_name(options.device)
    write(f"relax-{options.potential}-{options.device}", facts | {"seconds_a_step": each, "ratio": ratio})


if __name__ == "__main__":
    main()
