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
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from unigen.config import check_ranges
from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.close_contacts import closest_contact
from unigen.elements import SYMBOLS
from unigen.energies.batched_forces import BatchCalculator, SinglePoint
from unigen.energies.kept_symmetry import EXACT, KeptSymmetry
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
        min_contact: smallest distance after, as a share of the shortest that known crystals keep between two elements
            (`unigen.crystals.plausibility.close_contacts`). Below it potentials have holes: where atoms stand on each
            other, SevenNet's energies are thousands of eV below anything real. Crystals under 50 GPa, their edges a
            tenth shorter, still keep 0.85 of it.
        min_volume: smallest volume an atom, at every step, cubic Angstrom.
        max_volume: largest volume an atom, at every step, cubic Angstrom.
        fix_symmetry: make the symmetry exact that is found within ``symprec``, and keep it. The structure may end in a
            group that contains it.
        symprec: of that search, Angstrom.
        fix_cell: only the atoms move.
        fix_atoms: only the cell changes; fractional coordinates stay.
        pressure: hydrostatic, GPa; what goes down is the enthalpy E + PV. Below zero it pulls.

    Raises:
        UserError: a number out of its range, nothing left to relax, a pressure on a fixed cell.
    """

    fmax: float = 0.05
    max_steps: int = 500
    min_distance: float = 0.5
    min_contact: float = 0.85
    min_volume: float = 1.0
    max_volume: float = 500.0
    fix_symmetry: bool = False
    symprec: float = 0.01
    fix_cell: bool = False
    fix_atoms: bool = False
    pressure: float = 0.0

    def __post_init__(self) -> None:
        if not self.fmax > 0:
            raise UserError("fmax: not a positive force", got=self.fmax, wanted="such as 0.05 eV/A")
        # 1 TPa is thrice the pressure at the centre of the Earth, and beyond what any potential has seen. Symmetry is
        # looked for from what a text file rounds off to far less than a bond.
        check_ranges(self, pressure=(-1000, 1000), symprec=(1e-6, 0.5))
        if self.fix_cell and self.fix_atoms:
            raise UserError(
                "cell and atoms fixed: nothing is left to relax", next_step="for energies alone give --max-steps 0"
            )
        if self.fix_cell and self.pressure:
            raise UserError("a fixed cell does not feel a pressure", got=f"{self.pressure:g} GPa")

    def facts(self) -> dict[str, float]:
        """For cards and reports; what is fixed and the pressure where there is any: without, the crystal was free."""
        return {name: value for name, value in asdict(self).items() if value != ADDED_SETTINGS.get(name)}


_ADDED_AS_BY_DEFAULT = ("fix_symmetry", "symprec", "fix_cell", "fix_atoms", "pressure")

ADDED_SETTINGS: dict[str, float] = {
    "min_contact": 0.0,  # there was no such gate
    **{name: getattr(RelaxSettings(), name) for name in _ADDED_AS_BY_DEFAULT},
}
"""Settings that folders of earlier versions do not tell, and what they were then."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Relaxation:
    """What became of a crystal.

    Attributes:
        outcome: "converged"; "limit" (out of steps: its energy is an upper bound); "gated" (impossible before, after
            or on the way); "failed" (the calculator raised, or gave no finite energy).
        reason: why it was gated or failed; else what the potential warned of, and what could not be checked.
        crystal: relaxed; None unless converged or at the limit.
        energy_per_atom: eV/atom, relaxed; without the work against a pressure.
        enthalpy_per_atom: eV/atom, relaxed: E + PV; None without a pressure.
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
    enthalpy_per_atom: float | None = None
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
            state = replace(state, reason="; ".join(filter(None, [state.reason, CUTOFF_UNKNOWN])))
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
    from ase.constraints import FixAtoms
    from ase.filters import FrechetCellFilter
    from ase.optimize import FIRE
    from ase.units import GPa

    crystal = crystal.unskewed()
    impossible = why_impossible(crystal, settings, cutoff)
    if impossible:
        return Relaxation(outcome="gated", reason=f"before: {impossible}")
    atoms = crystal.to_ase()
    yield atoms
    initial = float(atoms.get_potential_energy() / len(atoms))
    kept = KeptSymmetry.constrain(atoms, settings.symprec) if settings.fix_symmetry else None
    # what is fixed stays as it is given, to the last bit; what moves keeps the symmetry in fractional coordinates
    if settings.fix_cell:
        atoms.set_cell(crystal.lattice, scale_atoms=True, apply_constraint=False)
    if settings.fix_atoms:
        atoms.set_scaled_positions(crystal.frac_coords)
        atoms.set_constraint([*atoms.constraints, FixAtoms(range(len(atoms)))])
    if kept is not None:
        yield atoms
    moving = atoms if settings.fix_cell else FrechetCellFilter(atoms, scalar_pressure=settings.pressure * GPa)
    optimizer = FIRE(moving, logfile=None)
    # the loop of FIRE's own run(), which would set fmax, taken apart: between steps somebody else computes the forces
    optimizer.fmax = settings.fmax
    while True:
        broken = _broken(atoms, settings)
        if broken:
            return Relaxation(outcome=broken[0], reason=f"step {optimizer.nsteps}: {broken[1]}", steps=optimizer.nsteps)
        converged = bool(optimizer.converged(moving.get_forces()))
        if converged or optimizer.nsteps >= settings.max_steps:
            break
        optimizer.step()
        optimizer.nsteps += 1
        yield atoms
    relaxed = Crystal(
        crystal.numbers,
        crystal.frac_coords if settings.fix_atoms else atoms.get_scaled_positions(),
        crystal.lattice if settings.fix_cell else atoms.cell.array,
    )
    contact = closest_contact(relaxed)
    too_close = contact.reason if contact is not None and contact.ratio < settings.min_contact else ""
    impossible = why_impossible(relaxed, settings, cutoff) or too_close
    if impossible:
        return Relaxation(outcome="gated", reason=f"after: {impossible}", steps=optimizer.nsteps)
    became = ""
    if kept is not None:
        # what is held as given has its symmetry within symprec only: an operation compares two atoms, each off by so
        # much, and is known no better
        held = settings.fix_cell or settings.fix_atoms
        became = kept.outcome(relaxed.to_ase(), 4 * settings.symprec if held else EXACT)
    energy = float(atoms.get_potential_energy() / len(atoms))
    return Relaxation(
        outcome="converged" if converged else "limit",
        reason=became,
        crystal=relaxed,
        energy_per_atom=energy,
        enthalpy_per_atom=energy + settings.pressure * GPa * relaxed.volume / len(relaxed)
        if settings.pressure
        else None,
        initial_energy_per_atom=initial,
        steps=optimizer.nsteps,
        largest_force=float(np.linalg.norm(moving.get_forces(), axis=1).max()),
        displacement=displacement(crystal, relaxed),
        volume_change=relaxed.volume / crystal.volume - 1,
    )


def _broken(atoms: Atoms, settings: RelaxSettings) -> tuple[Outcome, str] | None:
    """Whether the path has left what is physical; checked at each step, before a neighbour list explodes."""
    if not (np.isfinite(atoms.get_potential_energy()) and np.isfinite(atoms.get_forces(apply_constraint=False)).all()):
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
