"""Relax crystals, cell and all, between gates: potentials say plausible things of impossible structures.

FIRE: Bitzek et al., Phys. Rev. Lett. 97, 170201 (2006), over the cell too by ASE's FrechetCellFilter. One crystal at a
time (`relax`), or many in step, their forces computed in one batch (`relax_together`): what a GPU is good for. Each
crystal then still walks by itself; only the network sees all of them at once.
"""

from __future__ import annotations

import linecache
import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS
from unigen.energies.batched_forces import BatchCalculator, SinglePoint
from unigen.energies.potential import Potential, cutoff_of
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, one_line

if TYPE_CHECKING:
    from ase import Atoms

Outcome = Literal["converged", "limit", "gated", "failed"]


@dataclass(frozen=True, kw_only=True)
class RelaxSettings:
    """How a crystal is relaxed, and what is no crystal. The defaults are those of our protocols of stability.

    Attributes:
        fmax: largest force at the end, eV/Angstrom, on atoms and cell.
        max_steps: of FIRE; 0 computes the energy of the structure as it is.
        min_distance: smallest distance before and after, Angstrom, own periodic images included.
        min_volume: smallest volume an atom, at every step, cubic Angstrom.
        max_volume: largest volume an atom, at every step, cubic Angstrom.
    """

    fmax: float = 0.05
    max_steps: int = 500
    min_distance: float = 0.5
    min_volume: float = 1.0
    max_volume: float = 500.0

    def __post_init__(self) -> None:
        if not self.fmax > 0:
            raise UserError("fmax: not a positive force", got=self.fmax, wanted="such as 0.05 eV/A")


@dataclass(frozen=True, kw_only=True, eq=False)
class Relaxation:
    """What became of a crystal.

    Attributes:
        outcome: "converged"; "limit" (out of steps: its energy is an upper bound); "gated" (impossible before, after
            or on the way); "failed" (the calculator raised, or gave no finite energy).
        reason: why it was gated or failed; else what the potential warned of, and what could not be checked.
        crystal: relaxed; None unless converged or at the limit.
        energy_per_atom: eV/atom, relaxed.
        initial_energy_per_atom: eV/atom, as given.
        steps: of FIRE.
        largest_force: at the end, eV/Angstrom, on atoms and cell.
        displacement: root mean square path of an atom, Angstrom, see `displacement`.
        volume_change: relaxed volume over the one given, minus 1.
    """

    outcome: Outcome
    reason: str = ""
    crystal: Crystal | None = None
    energy_per_atom: float | None = None
    initial_energy_per_atom: float | None = None
    steps: int = 0
    largest_force: float | None = None
    displacement: float | None = None
    volume_change: float | None = None

    @property
    def energy_drop(self) -> float | None:
        """Energy as given minus energy relaxed, eV/atom."""
        if self.initial_energy_per_atom is None or self.energy_per_atom is None:
            return None
        return self.initial_energy_per_atom - self.energy_per_atom


Descent = Generator["Atoms", None, Relaxation]
"""Yields the atoms whose energy, forces and stress it needs next: set their calculator, and go on."""


def relax(crystal: Crystal, potential: Potential, settings: RelaxSettings) -> Relaxation:
    """Follow the forces of a potential down; never raises for a structure, however odd.

    Args:
        crystal: as generated.
        potential: whose energies.
        settings: stops and gates.

    Raises:
        UserError: the potential is none.

    Example:
        >>> from unigen.energies.potential import find_potential
        >>> cell = Crystal(np.array([29]), np.zeros((1, 3)), 3.5 * (np.ones((3, 3)) - np.eye(3)) / 2)
        >>> relax(cell, find_potential("ase.calculators.emt:EMT", "EMT"), RelaxSettings()).outcome
        'converged'
    """
    calculator = potential.calculator()  # what is wrong with it is not this structure's failure
    descent = _descend(crystal, settings, potential.cutoff)
    warned: dict[str, None] = {}
    with _recorded(potential.package, warned):
        while not isinstance(state := _advance(descent), Relaxation):
            try:
                state.calc = calculator
            except PARSER_ERRORS as error:  # some say here that they do not know an element
                return _failed(error)
    if potential.cutoff is None and state.crystal is not None:
        cutoff = cutoff_of(calculator)  # EMT has one for the elements of this structure, known once it has seen them
        impossible = _isolated(state.crystal, cutoff)
        if impossible:
            state = Relaxation(outcome="gated", reason=f"after: {impossible}", steps=state.steps)
        elif cutoff is None:
            state = replace(state, reason=CUTOFF_UNKNOWN)
    return _with_warnings(state, warned)


CUTOFF_UNKNOWN = "cut-off of the potential not known: atoms without neighbours not looked for"
"""What is said of a structure relaxed by a calculator that does not tell how far it sees."""


@contextmanager
def _recorded(package: str, said: dict[str, None]) -> Iterator[None]:
    """Warnings that a package itself raises, each once: by a line that says "warn".

    What torch says of the package's code in passing is reported from the package's lines too, and no word about the
    structure.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for each in caught:
        own = package in Path(each.filename).parts and "warn" in linecache.getline(each.filename, each.lineno)
        if own and not issubclass(each.category, DeprecationWarning | FutureWarning):
            said[one_line(each.message)] = None


def _with_warnings(result: Relaxation, said: Iterable[str]) -> Relaxation:
    """The result with what the potential said of it; why it failed goes first."""
    return replace(result, reason="; ".join(filter(None, [result.reason, *(f"warned: {each}" for each in said)])))


def relax_together(
    crystals: Iterable[Crystal],
    compute: BatchCalculator,
    settings: RelaxSettings,
    batch: int,
    cutoff: float | None = None,
    package: str = "",
) -> Iterator[tuple[int, Relaxation]]:
    """The index of each crystal and what became of it, in the order of finishing.

    Args:
        crystals: as generated.
        compute: energies, forces and stresses of many structures.
        settings: stops and gates.
        batch: crystals on their way at a time; where one arrives the next sets out.
        cutoff: of the potential, Angstrom; None where it is not known.
        package: whose warnings go to the results, each to all crystals that were computed together.
    """
    from ase.calculators.singlepoint import SinglePointCalculator

    waiting = enumerate(crystals)
    running: dict[int, Descent] = {}
    warned: dict[int, dict[str, None]] = {}
    while True:
        for index, crystal in islice(waiting, batch - len(running)):
            running[index] = _descend(crystal, settings, cutoff)
        if not running:
            return
        to_compute: dict[int, Atoms] = {}
        for index, descent in list(running.items()):
            state = _advance(descent)
            if isinstance(state, Relaxation):
                del running[index]
                yield index, _with_warnings(state, warned.pop(index, ()))
            else:
                to_compute[index] = state
        said: dict[str, None] = {}
        with _recorded(package, said):
            results = _compute_or_halve(compute, list(to_compute.values()))
        if said:
            warned |= {index: warned.get(index, {}) | said for index in to_compute}
        for (index, atoms), result in zip(to_compute.items(), results, strict=True):
            if isinstance(result, Exception):
                del running[index]
                yield index, _failed(result)
            else:
                atoms.calc = SinglePointCalculator(atoms, **result)


def _compute_or_halve(compute: BatchCalculator, structures: Sequence[Atoms]) -> list[SinglePoint | Exception]:
    """One result a structure; a batch that fails (one odd structure, or no memory left) is tried again by halves."""
    if not structures:
        return []
    try:
        return [*compute(structures)]
    except PARSER_ERRORS as error:
        if len(structures) == 1:
            return [error]
    half = len(structures) // 2
    return _compute_or_halve(compute, structures[:half]) + _compute_or_halve(compute, structures[half:])


def _advance(descent: Descent) -> Atoms | Relaxation:
    """Up to the next atoms to be computed, or to the end; an exception is an end too."""
    try:
        return next(descent)
    except StopIteration as end:
        return end.value
    except PARSER_ERRORS as error:
        return _failed(error)


def _failed(error: Exception) -> Relaxation:
    """The end of a structure that a calculator raised at."""
    return Relaxation(outcome="failed", reason=f"{type(error).__name__}: {str(error)[:120]}")


def _descend(crystal: Crystal, settings: RelaxSettings, cutoff: float | None) -> Descent:
    """A relaxation that leaves computing to whoever drives it, one structure or many at a time."""
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE

    crystal = crystal.unskewed()
    impossible = why_impossible(crystal, settings, cutoff)
    if impossible:
        return Relaxation(outcome="gated", reason=f"before: {impossible}")
    atoms = crystal.to_ase()
    yield atoms
    initial = float(atoms.get_potential_energy() / len(atoms))
    both = FrechetCellFilter(atoms)
    optimizer = FIRE(both, logfile=None)
    # the loop of FIRE's own run(), which would set fmax, taken apart: between steps somebody else computes the forces
    optimizer.fmax = settings.fmax
    while True:
        broken = _broken(atoms, settings)
        if broken:
            return Relaxation(outcome=broken[0], reason=f"step {optimizer.nsteps}: {broken[1]}", steps=optimizer.nsteps)
        converged = bool(optimizer.converged(both.get_forces()))
        if converged or optimizer.nsteps >= settings.max_steps:
            break
        optimizer.step()
        optimizer.nsteps += 1
        yield atoms
    relaxed = Crystal(crystal.numbers, atoms.get_scaled_positions(), atoms.cell.array)
    impossible = why_impossible(relaxed, settings, cutoff)
    if impossible:
        return Relaxation(outcome="gated", reason=f"after: {impossible}", steps=optimizer.nsteps)
    return Relaxation(
        outcome="converged" if converged else "limit",
        crystal=relaxed,
        energy_per_atom=float(atoms.get_potential_energy() / len(atoms)),
        initial_energy_per_atom=initial,
        steps=optimizer.nsteps,
        largest_force=float(np.linalg.norm(both.get_forces(), axis=1).max()),
        displacement=displacement(crystal, relaxed),
        volume_change=relaxed.volume / crystal.volume - 1,
    )


def _broken(atoms: Atoms, settings: RelaxSettings) -> tuple[Outcome, str] | None:
    """Whether the path has left what is physical; checked at each step, before a neighbour list explodes."""
    if not (np.isfinite(atoms.get_potential_energy()) and np.isfinite(atoms.get_forces()).all()):
        return "failed", "energy or forces are not finite"
    volume = _volume_reason(atoms.get_volume() / len(atoms), settings)
    return ("gated", volume) if volume else None


def _gate(crystal: Crystal, settings: RelaxSettings) -> str:
    """Why a structure is impossible; empty when it is not."""
    closest = crystal.smallest_distance()
    if closest < settings.min_distance:
        return f"atoms {closest:.2f} A apart"
    return _volume_reason(crystal.volume / len(crystal), settings)


def why_impossible(crystal: Crystal, settings: RelaxSettings, cutoff: float | None) -> str:
    """Why a potential says nothing of a structure that can be believed; empty when it may.

    Args:
        crystal: as drawn.
        settings: whose gates.
        cutoff: of the potential, Angstrom; None where it is not known.
    """
    return _gate(crystal, settings) or _isolated(crystal, cutoff)


def _isolated(crystal: Crystal, cutoff: float | None) -> str:
    """Which atom a potential cannot see any other from: without forces, it would be at rest wherever it is.

    Empty where there is none, or where the cut-off is not known.
    """
    from ase.neighborlist import primitive_neighbor_list

    if cutoff is None:
        return ""
    positions = crystal.frac_coords @ crystal.lattice
    neighbours = primitive_neighbor_list("i", (True,) * 3, crystal.lattice, positions, cutoff)
    alone = np.flatnonzero(np.bincount(neighbours, minlength=len(crystal)) == 0)
    if not len(alone):
        return ""
    site = f"site {alone[0]} ({SYMBOLS[crystal.numbers[alone[0]]]})"
    return f"no neighbour of {site} within {cutoff:.3g} A, the cut-off of the potential"


def _volume_reason(volume: float, settings: RelaxSettings) -> str:
    return "" if settings.min_volume <= volume <= settings.max_volume else f"volume {volume:.3g} A^3 an atom"


def displacement(before: Crystal, after: Crystal) -> float:
    """Root mean square displacement of the atoms in Angstrom, atom by atom, in the cell after.

    Differences of fractional coordinates, nearest images, without the common shift (a crystal has no origin), in the
    lattice after: the strain of the cell itself does not count.
    """
    moved = after.frac_coords - before.frac_coords
    moved -= np.round(moved)
    moved = (moved - moved.mean(axis=0)) @ after.lattice
    return float(np.sqrt((moved**2).sum(axis=1).mean()))
