"""CPU-milliseconds a crystal where no known structure is followed, against the code of an earlier commit.

python eval/speed/decoding.py --against a07a06a

Both trees draw the same requests with the same seeds, one thread, in processes of their own that take turns; a ratio is
of one turn, and the median of them is told. The other tree is checked out for that (``git worktree``) and removed
afterwards. Requests are random elements in random amounts. For those that are drawn "anew" a new template is always
written (``anew=inf``), as it is where nothing resembles a composition.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
import torch
from measurement import compare_with_commit

from unigen.elements import SYMBOLS
from unigen.models.generator import Job
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.request import CrystalRequest
from unigen.sample.load import load

BATCHES = (1, 32)
SINGLE = 4
"""Requests that are drawn one by one: each takes up to two seconds of the older code."""


@dataclass(frozen=True)
class Case:
    """What is asked for: atoms in the cell, elements among them, whether nothing is followed."""

    atoms: int
    elements: int
    anew: bool


CASES = {
    "followed, 5 atoms": Case(5, 3, anew=False),
    "anew, 5 atoms": Case(5, 3, anew=True),
    "anew, 30 atoms": Case(30, 4, anew=True),
    "anew, 50 atoms": Case(50, 5, anew=True),
    "anew, 8 elements": Case(16, 8, anew=True),
    "anew, 12 elements": Case(24, 12, anew=True),
}
LIKELIHOODS = (1, 256)
"""Crystals in a batch, of which the exact likelihood is timed: drawn with it less drawn without."""


RETRIEVED = 256
"""Compositions whose shortlists are timed."""


def main() -> None:
    """Measure, print, write."""
    compare_with_commit(
        __file__, "a crystal, likelihood included", measured, model="unigen-crystal-small", against="a07a06a", turns=2
    )


def jobs(case: Case, count: int) -> list[Job]:
    """Distinct formulas, the same every time."""
    rng = np.random.default_rng([case.atoms, case.elements])
    wanted: dict[str, CrystalRequest] = {}
    while len(wanted) < count:
        elements = rng.choice(np.arange(3, 84), size=case.elements, replace=False)
        cuts = np.sort(rng.choice(np.arange(1, case.atoms), size=case.elements - 1, replace=False))
        amounts = np.diff([0, *cuts.tolist(), case.atoms])
        formula = "".join(f"{SYMBOLS[e]}{n}" for e, n in zip(elements.tolist(), amounts.tolist(), strict=True))
        wanted[formula] = CrystalRequest(formula=formula, n_atoms=case.atoms)
    return [Job(request, place, 0, 0) for place, request in enumerate(wanted.values())]


def milliseconds(generator: WyckoffGenerator, wanted: list[Job], batch: int) -> float:
    """CPU-milliseconds a crystal."""
    started = time.process_time()
    for first in range(0, len(wanted), batch):
        generator.draw(wanted[first : first + batch])
    return (time.process_time() - started) / len(wanted) * 1000


def that_remembers_nothing(usual: WyckoffGenerator, *, anew: bool) -> WyckoffGenerator:
    """The same generator without what it has kept; one that writes every template anew where that is wanted."""
    settings = replace(usual.settings, anew=float("inf")) if anew else usual.settings
    return WyckoffGenerator(usual.model, usual.retriever, usual.name, "", settings, usual.score_steps)


def measured(model: str) -> dict[str, float]:
    """CPU-milliseconds a crystal by case and batch, with the code on the path."""
    torch.set_num_threads(1)
    opened = {score: load(model, score=score) for score in (True, False)}

    def fresh(*, anew: bool, score: bool = True) -> WyckoffGenerator:
        usual = opened[score]
        assert isinstance(usual, WyckoffGenerator)
        return that_remembers_nothing(usual, anew=anew)

    for anew in (True, False):  # warm-up
        fresh(anew=anew).draw(jobs(Case(10, 3, anew=anew), 4))
    found = {}
    for name, case in CASES.items():
        for batch in BATCHES:
            wanted = jobs(case, batch if batch > 1 else SINGLE)
            found[f"{name}, batch {batch}"] = milliseconds(fresh(anew=case.anew), wanted, batch)
    for batch in BATCHES:
        wanted = [Job(CrystalRequest(), 0, index, 0) for index in range(32)]
        found[f"de novo, batch {batch}"] = milliseconds(fresh(anew=False), wanted, batch)
    for batch in LIKELIHOODS:
        wanted = jobs(CASES["followed, 5 atoms"], max(batch, 32))
        with_score, without = (milliseconds(fresh(anew=False, score=score), wanted, batch) for score in (True, False))
        found[f"likelihood, batch {batch}"] = with_score - without
    retriever, wanted = fresh(anew=False).retriever, jobs(CASES["followed, 5 atoms"], RETRIEVED)
    started = time.process_time()
    for job in wanted:
        retriever.part_shortlist(job.request.counts or {}, exclude_formula=True)
    found["retrieval"] = (time.process_time() - started) / len(wanted) * 1000
    return found


if __name__ == "__main__":
    main()
