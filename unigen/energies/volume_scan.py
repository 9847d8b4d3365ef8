"""The energy of a crystal at its best volume, by single points: cheap, and fair to cells that are a few per cent off.

A cell 3 % too long costs more energy than the next polymorph is away, so energies of structures as they were drawn rank
them worse than chance among the good ones. A full relaxation is a hundred times the work and walks into neighbouring
minima. Between them: the edges scaled together, atoms in their places, and a parabola through the lowest points in
``x = s^-2``, in which energies of solids are nearly parabolic (x goes as V^(-2/3): Birch, Phys. Rev. 71, 809 (1947)).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.energies.batched_forces import EnergyCalculator
from unigen.energies.potential import Potential, one_thread
from unigen.energies.relaxation import RelaxSettings, why_impossible
from unigen.energies.relaxed_crystals import structure_key
from unigen.journal import Line, ResultJournal
from unigen.parallel import Workers
from unigen.parsing import PARSER_ERRORS, one_line
from unigen.shapes import Float


@dataclass(frozen=True, kw_only=True)
class ScanSettings:
    """Which volumes are tried.

    Attributes:
        points: of the first round, odd: 1 is the structure as drawn alone. Five over +-6 % hold the minimum of 56 % of
            twenty candidates each of MP-20 validation, and of nearly all good ones; the others get more.
        step: ratio of neighbouring edges, minus 1.
        widest: how far edges are scaled where the energy still falls at the end of the first round.
        min_distance: Angstrom; structures with atoms closer than that have no energy worth the name.
    """

    points: int = 5
    step: float = 0.03
    widest: float = 1.25
    min_distance: float = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class VolumeScan:
    """What a scan found.

    Attributes:
        crystal: with its edges scaled to the lowest energy; None where there is no energy.
        energy_per_atom: eV/atom there, by the parabola.
        initial_energy_per_atom: eV/atom as drawn.
        scale: edges there over edges as drawn.
        points: energies computed.
        reason: why there is no energy, or that the energy still falls at the widest scale.
    """

    crystal: Crystal | None = None
    energy_per_atom: float | None = None
    initial_energy_per_atom: float | None = None
    scale: float = 1.0
    points: int = 0
    reason: str = ""


def scan_volume(
    crystal: Crystal, energies: EnergyCalculator, settings: ScanSettings, cutoff: float | None = None
) -> VolumeScan:
    """The lowest energy of a crystal over isotropic scalings; never raises for a structure, however odd.

    Args:
        crystal: as drawn.
        energies: of a potential.
        settings: which scales.
        cutoff: of the potential, Angstrom; None where it is not known.

    Example:
        >>> from unigen.energies.potential import find_potential
        >>> cell = Crystal(np.array([29]), np.zeros((1, 3)), 3.4 * (np.ones((3, 3)) - np.eye(3)) / 2)
        >>> found = scan_volume(cell, find_potential("ase.calculators.emt:EMT", "EMT").energies(), ScanSettings())
        >>> round(3.4 * found.scale, 2)  # of copper, by EMT
        3.59
    """
    crystal = crystal.unskewed()
    gates = RelaxSettings(min_distance=settings.min_distance)
    impossible = why_impossible(crystal, gates, cutoff)
    if impossible:
        return VolumeScan(reason=impossible)
    known: dict[int, float] = {}  # energy by the power of (1 + step) that edges are scaled with

    def compute(powers: Sequence[int]) -> None:
        atoms = [_scaled(crystal, (1 + settings.step) ** power).to_ase() for power in powers]
        known.update(zip(powers, (energy / len(crystal) for energy in energies(atoms)), strict=True))

    half = settings.points // 2
    reach = int(np.log(settings.widest) / np.log(1 + settings.step))
    try:
        compute(range(-half, half + 1))
        # over the end, two points at a time: each round is one batch
        while half and abs(lowest := min(known, key=known.__getitem__)) == (end := max(map(abs, known))) < reach:
            sign = 1 if lowest > 0 else -1
            compute([sign * power for power in range(end + 1, min(end + 2, reach) + 1)])
    except PARSER_ERRORS as error:
        return VolumeScan(reason=f"{type(error).__name__}: {one_line(error)[:120]}", points=len(known))
    if not np.isfinite(list(known.values())).all():
        return VolumeScan(reason="an energy is not finite", points=len(known))
    lowest = min(known, key=known.__getitem__)
    found = VolumeScan(initial_energy_per_atom=known[0], points=len(known))
    if not {lowest - 1, lowest + 1} <= known.keys():
        reason = f"energy still falls at {(1 + settings.step) ** lowest:.2f} times the edges" if half else ""
        scale = (1 + settings.step) ** lowest
        return replace(
            found, crystal=_scaled(crystal, scale), energy_per_atom=known[lowest], scale=scale, reason=reason
        )
    scale, energy = _vertex(
        np.array([(1 + settings.step) ** power for power in (lowest - 1, lowest, lowest + 1)]),
        np.array([known[power] for power in (lowest - 1, lowest, lowest + 1)]),
    )
    return replace(found, crystal=_scaled(crystal, scale), energy_per_atom=energy, scale=scale)


def _scaled(crystal: Crystal, scale: float) -> Crystal:
    return Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice * scale)


def _vertex(scales: Float[np.ndarray, "3"], energies: Float[np.ndarray, "3"]) -> tuple[float, float]:
    """Scale and energy at the bottom of the parabola in ``s^-2`` through three points, the middle one lowest."""
    x = scales**-2.0
    centred = x - x[1]
    curvature, slope, lowest = np.polyfit(centred, energies, 2)
    if curvature <= 0:  # three equal energies: as good a bottom as any
        return float(scales[1]), float(energies[1])
    bottom = -slope / (2 * curvature)
    return float((x[1] + bottom) ** -0.5), float(lowest + slope * bottom / 2)


class ScannedCrystals:
    """A folder of scans, new or continued.

    Args:
        path: made if need be; None keeps everything in memory.
        potential: whose energies.
        settings: which volumes.

    Raises:
        UserError: the folder holds scans by another potential or of other volumes, or cannot be written.
    """

    def __init__(self, path: Path | None, potential: Potential, settings: ScanSettings) -> None:
        self.potential, self.settings = potential, settings
        self._journal = ResultJournal(
            path,
            {"potential": potential.identity, "settings": asdict(settings)},
            key=structure_key,
            to_line=_to_line,
            from_line=_from_line,
        )

    def scan(self, crystals: Sequence[Crystal], workers: Workers) -> list[VolumeScan]:
        """One a crystal, in their order; equal ones are scanned once, and nothing that the folder holds."""
        work = partial(_scan_in_one_thread, potential=self.potential, settings=self.settings)

        def compute(missing: list[Crystal]) -> Iterator[tuple[int, VolumeScan]]:
            if missing:  # or the potential need not be loaded
                self.potential.calculator()  # what is wrong with it is no structure's fault
            return workers.as_finished(work, missing, f"Scanning volumes ({self.potential.name})")

        return self._journal.results(crystals, compute)


def _scan_in_one_thread(crystal: Crystal, potential: Potential, settings: ScanSettings) -> VolumeScan:
    with one_thread():
        return scan_volume(crystal, potential.energies(), settings, potential.cutoff)


def _to_line(scan: VolumeScan) -> Line:
    line: dict[str, Any] = {name: getattr(scan, name) for name in _NUMBERS}
    return line | {"made": scan.crystal is not None}


_NUMBERS = ("energy_per_atom", "initial_energy_per_atom", "scale", "points", "reason")


def _from_line(line: Line, crystal: Crystal) -> VolumeScan:
    scaled = _scaled(crystal.unskewed(), float(line["scale"])) if line["made"] else None
    return VolumeScan(crystal=scaled, **{name: line[name] for name in _NUMBERS})
