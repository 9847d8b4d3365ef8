"""Which known structure shows a pattern: a look at the first lines of all and a fit of the best, against a fit of all.

python eval/speed/identify.py

Patterns of structures of the bundled table, strained at random and with counting noise, are looked for among a part of
it, in turns by both ways; of the part as many are fitted after the look as of the whole table. One process, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
from measurement import circumstances, write

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import inverse_d_of, two_theta_of
from unigen.crystals.powder.reflections import reflections
from unigen.models.checkpoint import model_folder
from unigen.parallel import Workers
from unigen.ranking import identification
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.table import read_table

WAVELENGTH = 1.5406
STRAIN = 0.004
PATTERNS, PART = 6, 2_000


def pattern_of(crystal: Crystal, seed: int) -> PowderPattern:
    """10 to 90 degrees of Cu K-alpha, peaks of 0.2 degrees, the highest of 1,000 counts over 50."""
    rng = np.random.default_rng(seed)
    change = rng.normal(0, STRAIN, (3, 3))
    crystal = Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice @ (np.eye(3) + (change + change.T) / 2))
    two_theta = np.arange(10.0, 90.0, 0.03)
    lines = reflections(crystal, float(inverse_d_of(two_theta[-1:], WAVELENGTH)[0]))
    at = two_theta_of(lines.inverse_d, WAVELENGTH)
    values = np.exp(-0.5 * ((two_theta[:, None] - at) / 0.085) ** 2) @ lines.intensities(WAVELENGTH)
    counts = rng.poisson(1000 * values / values.max() + 50).astype(float)
    return PowderPattern(inverse_d_of(two_theta, WAVELENGTH), counts, WAVELENGTH)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--part", type=int, default=PART, help="structures that are searched")
    options = parser.parse_args()
    facts = circumstances(threads=1)
    table = read_table(model_folder("unigen-crystal-small") / TABLE)
    rows = np.random.default_rng(0).permutation(len(table))[: options.part]
    known = table.select(np.sort(rows))
    few = round(identification._SCREENED * options.part / len(table))  # noqa: SLF001 - the same share as of the whole
    ways = {"a look, then a fit of the best": few, "a fit of all": options.part}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    same_first = worse = 0
    for number in range(PATTERNS):
        pattern = pattern_of(known[number * (options.part // PATTERNS)].to_crystal(), number)
        found = {}
        for way, fitted in ways.items():
            identification._SCREENED = fitted  # noqa: SLF001
            started = time.process_time()
            with Workers(1) as workers:
                found[way] = identification.identify(pattern, known, workers).found
            seconds[way].append(time.process_time() - started)
        one, other = found.values()
        same_first += one[0].id == other[0].id
        # of the answers behind the first others may be listed: wrong ones, of which some fit better
        worse += sum(a.similarity < b.similarity for a, b in zip(one, other, strict=True))
        print({way: round(times[-1], 1) for way, times in seconds.items()}, same_first, worse, flush=True)
    ratio = statistics.median(b / a for a, b in zip(*seconds.values(), strict=True))
    write(
        "identify",
        facts
        | {"structures": options.part, "patterns": PATTERNS, "strain": STRAIN}
        | {"cpu_seconds": {way: round(statistics.median(times), 2) for way, times in seconds.items()}}
        | {
            "ratio": round(ratio, 1),
            "same_first_answer": same_first,
            "answers_less_similar": f"{worse} of {10 * PATTERNS}",
        },
    )


if __name__ == "__main__":
    main()
