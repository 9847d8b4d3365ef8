"""What a crystal costs by the size of the batch, by its atoms and by its elements, as a picture.

python eval/speed/sizes.py

CPU-milliseconds a crystal, exact likelihood included, one thread. "anew": random elements in random amounts as in
``decoding.py``, no known structure is followed; "followed": the amounts of known structures with random elements in
their places. Ratios are to a crystal of 5 atoms that follows a known structure, in the largest batch, of the same run.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from decoding import Case, jobs, milliseconds, that_remembers_nothing
from measurement import HERE, circumstances, write

from unigen.elements import SYMBOLS
from unigen.models.generator import Job
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.request import CrystalRequest
from unigen.retrieval.table import TemplateTable
from unigen.sample.load import load

BATCHES = (1, 4, 16, 64, 256)
TOGETHER = 32
"""Crystals in a batch, where atoms and elements differ."""

LARGE = 20
"""Atoms of a cell from which on no batch of more than `TOGETHER` is drawn anew: it would take a minute."""

ATOMS = (5, 10, 20, 30, 40, 50)
ELEMENTS = (1, 2, 4, 6, 8, 10, 12)
SINGLE = 8
"""Requests that are drawn one by one."""

Curve = dict[int, float]


def followed_jobs(table: TemplateTable, atoms: int, count: int) -> list[Job]:
    """Compositions of which a known structure with other elements has the same amounts; the same every time."""
    random = np.random.default_rng(atoms)
    wanted: dict[str, CrystalRequest] = {}
    while len(wanted) < count:
        amounts = table.counts(int(random.choice(np.flatnonzero(table.num_atoms == atoms)))).values()
        elements = random.choice(np.arange(3, 84), size=len(amounts), replace=False).tolist()
        formula = "".join(f"{SYMBOLS[e]}{n}" for e, n in zip(elements, amounts, strict=True))
        wanted[formula] = CrystalRequest(formula=formula, n_atoms=atoms)
    return [Job(request, place, 0, 0) for place, request in enumerate(wanted.values())]


def measured(generator: WyckoffGenerator) -> dict[str, dict[str, Curve]]:
    """CPU-milliseconds a crystal by panel, curve and place."""

    def one(case: Case, batch: int) -> float:
        count = max(batch, SINGLE)
        wanted = jobs(case, count) if case.anew else followed_jobs(generator.retriever.table, case.atoms, count)
        found = milliseconds(that_remembers_nothing(generator, anew=case.anew), wanted, batch)
        print(f"{case}, batches of {batch}: {found:.2f} ms a crystal", flush=True)
        return found

    that_remembers_nothing(generator, anew=True).draw(jobs(Case(10, 3, anew=True), 4))  # warm-up
    batches = {
        "5 atoms, followed": Case(5, 3, anew=False),
        "5 atoms, anew": Case(5, 3, anew=True),
        "30 atoms, anew": Case(30, 4, anew=True),
    }
    return {
        "crystals in a batch": {
            name: {batch: one(case, batch) for batch in BATCHES if case.atoms < LARGE or batch <= TOGETHER}
            for name, case in batches.items()
        },
        f"atoms (batches of {TOGETHER})": {
            name: {atoms: one(Case(atoms, 4, anew=anew), TOGETHER) for atoms in ATOMS}
            for name, anew in (("followed", False), ("anew", True))
        },
        f"elements (batches of {TOGETHER}, two atoms each)": {
            "anew": {elements: one(Case(2 * elements, elements, anew=True), TOGETHER) for elements in ELEMENTS}
        },
    }


def draw(panels: dict[str, dict[str, Curve]]) -> None:
    """``eval/speed/sizes.svg``."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    # the same picture, the same bytes; letters as text
    plt.rcParams |= {"svg.hashsalt": "sizes", "svg.fonttype": "none"}
    figure, axes = plt.subplots(1, len(panels), figsize=(11, 3.2), sharey=True, layout="constrained")
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, curve in curves.items():
            axis.plot([*curve], [*curve.values()], marker="o", markersize=4, label=name)
        axis.set(xlabel=title, yscale="log")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set(xscale="log", ylabel="CPU-milliseconds a crystal", xticks=BATCHES, xticklabels=BATCHES)
    figure.savefig(HERE / "sizes.svg", metadata={"Date": None})


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="unigen-crystal-small")
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    generator = load(parser.parse_args().model)
    assert isinstance(generator, WyckoffGenerator)
    panels = measured(generator)
    unit = panels["crystals in a batch"]["5 atoms, followed"][BATCHES[-1]]
    rounded = {
        title: {name: {at: round(ms, 2) for at, ms in curve.items()} for name, curve in curves.items()}
        for title, curves in panels.items()
    }
    ratios = {
        title: {name: {at: round(ms / unit, 1) for at, ms in curve.items()} for name, curve in curves.items()}
        for title, curves in panels.items()
    }
    write("sizes", facts | {"unit": "CPU-milliseconds a crystal", "by": rounded, "ratios": ratios})
    draw(panels)


if __name__ == "__main__":
    main()
