"""Many crystals relaxed in step, their forces computed in one batch: what a GPU is good for.

Each crystal walks by itself as in `relaxation.relax`; only the network sees all of them at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from unigen.crystals.crystal import Crystal
from unigen.energies.batched_forces import Answer, Compute
from unigen.energies.relaxation import Descent, Relaxation, RelaxSettings, advance, descend, failed
from unigen.parsing import PARSER_ERRORS

if TYPE_CHECKING:
    from ase import Atoms


def relax_together(
    crystals: Iterable[Crystal], compute: Compute, settings: RelaxSettings, batch: int
) -> Iterator[tuple[int, Relaxation]]:
    """The place of each crystal and what became of it, in the order of finishing.

    Args:
        crystals: as generated.
        compute: energies, forces and stresses of many structures.
        settings: stops and gates.
        batch: crystals on their way at a time; where one arrives the next sets out.
    """
    waiting = enumerate(crystals)
    running: dict[int, Descent] = {}
    while True:
        for place, crystal in islice(waiting, batch - len(running)):
            running[place] = descend(crystal, settings)
        if not running:
            return
        asking: dict[int, Atoms] = {}
        for place, path in list(running.items()):
            state = advance(path)
            if isinstance(state, Relaxation):
                del running[place]
                yield place, state
            else:
                asking[place] = state
        for place, answer in zip(asking, _answers(compute, list(asking.values())), strict=True):
            if isinstance(answer, Exception):
                del running[place]
                yield place, failed(answer)
            else:
                _tell(asking[place], answer)


def _answers(compute: Compute, structures: Sequence[Atoms]) -> list[Answer | Exception]:
    """One an atoms; a batch that fails (one odd structure, or no memory left) is tried again by halves."""
    if not structures:
        return []
    try:
        return [*compute(structures)]
    except PARSER_ERRORS as error:
        if len(structures) == 1:
            return [error]
    half = len(structures) // 2
    return _answers(compute, structures[:half]) + _answers(compute, structures[half:])


def _tell(atoms: Atoms, answer: Answer) -> None:
    from ase.calculators.singlepoint import SinglePointCalculator

    atoms.calc = SinglePointCalculator(atoms, **answer)
