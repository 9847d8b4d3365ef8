"""A folder of relaxed crystals; `RelaxedCrystals.write` adds ``relaxed.extxyz`` to the files of its `ResultJournal`."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.crystals.files import parse_extxyz
from unigen.data.readers.text import read_frames
from unigen.disk import durable_text
from unigen.energies.potential import Potential, one_thread
from unigen.energies.relaxation import ADDED_SETTINGS, Relaxation, RelaxSettings, relax, relax_together
from unigen.journal import JOURNAL, RUN, Line, ResultJournal, digest
from unigen.parallel import Workers

FRAMES = "relaxed.extxyz"


class RelaxedCrystals:
    """The folder, new or continued.

    Args:
        path: made if need be; None keeps everything in memory.
        potential: whose energies.
        settings: stops and gates.

    Raises:
        UserError: the folder holds the results of another potential or of other settings, or cannot be written.
    """

    def __init__(self, path: Path | None, potential: Potential, settings: RelaxSettings) -> None:
        self.path, self.potential, self.settings = path, potential, settings
        self._journal = ResultJournal(
            path,
            {"potential": potential.identity, "settings": asdict(settings)},
            key=structure_key,
            to_line=_to_line,
            from_line=_from_line,
            added={f"settings.{name}": value for name, value in ADDED_SETTINGS.items()},
        )

    def relax(self, crystals: Sequence[Crystal], workers: Workers) -> list[Relaxation]:
        """One result a crystal, in their order; what the folder holds is not computed again.

        Args:
            crystals: as generated; equal ones are relaxed once.
            workers: one thread each, side by side; where the potential computes batches, all is done here.
        """
        label = f"Relaxing ({self.potential.name})"

        def one_by_one(missing: list[Crystal]) -> Iterator[tuple[int, Relaxation]]:
            work = partial(_relax_in_one_thread, potential=self.potential, settings=self.settings)
            return workers.as_finished(work, missing, label)

        def together(missing: list[Crystal]) -> Iterator[tuple[int, Relaxation]]:
            if not missing:  # the potential need not be loaded
                return
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # as in worker processes
                compute = self.potential.batch_calculator()
                potential = self.potential
                results = relax_together(
                    missing, compute, self.settings, potential.batch, potential.cutoff, potential.package
                )
                yield from workers.with_progress(results, len(missing), label)

        return self._journal.results(crystals, one_by_one if self.potential.batch == 1 else together)

    def write(
        self, named: Iterable[tuple[str, Relaxation]], facts: Sequence[Mapping[str, str | int | float]] | None = None
    ) -> Path | None:
        """Write ``relaxed.extxyz`` of what has a relaxed structure, energies beside it; returns its path.

        Args:
            named: results with the names of their frames.
            facts: one mapping a result: what else its frame says.
        """
        from ase.io import write

        if self.path is None:
            return None
        energies = {"potential": self.potential.name, "energy_scheme": self.potential.scheme}
        frames = []
        for place, (name, result) in enumerate(named):
            if result.crystal is not None:
                atoms = result.crystal.to_ase()
                atoms.info = {"id": name} | dict(facts[place] if facts else {}) | energies
                atoms.info |= {key: value for key, value in _numbers(result).items() if value is not None}
                frames.append(atoms)
        with durable_text(self.path / FRAMES) as file:
            write(file, frames, format="extxyz")
        return self.path / FRAMES


@dataclass(frozen=True, eq=False)
class RelaxedBefore:
    """What a folder of relaxed crystals knows of its own structures: they need not be relaxed again to be judged.

    Attributes:
        folder: where.
        settings: they were relaxed with.
        results: one a relaxed structure, by `structure_key` of that structure as it is read from the folder.
    """

    folder: Path
    settings: dict[str, Any]
    results: dict[str, Relaxation]


def relaxed_before(folder: Path, potential: Potential) -> RelaxedBefore | None:
    """The results of a folder, where its energies are of this potential, and not under a pressure; else None."""
    if not all((folder / name).is_file() for name in (RUN, JOURNAL, FRAMES)):
        return None
    facts = read_yaml(folder / RUN)
    settings = facts.get("settings")
    if facts.get("potential") != potential.identity or not isinstance(settings, dict) or settings.get("pressure"):
        return None
    names = [each.name for each in fields(Relaxation) if each.name not in {"crystal", "reason"}]
    results = {}
    for frame in read_frames(folder / FRAMES):
        if frame.form != "frame":
            continue
        atoms = parse_extxyz(f"{frame.content}\n", frame.where)
        crystal = Crystal.from_ase(atoms, frame.where)
        # a key without a value, as None was written once, is read as true
        told = {name: atoms.info[name] for name in names if atoms.info.get(name, True) is not True}
        told = {name: value.item() if isinstance(value, np.generic) else value for name, value in told.items()}
        if {"outcome", "energy_per_atom"} <= told.keys():
            results[structure_key(crystal)] = Relaxation(crystal=crystal, **told)
    return RelaxedBefore(folder, settings, results)


def structure_key(crystal: Crystal) -> str:
    """A digest of exactly these arrays."""
    return digest(crystal.numbers, crystal.frac_coords, crystal.lattice)


def _relax_in_one_thread(crystal: Crystal, potential: Potential, settings: RelaxSettings) -> Relaxation:
    with one_thread():
        return relax(crystal, potential, settings)


def _numbers(result: Relaxation) -> dict[str, Any]:
    """What a line says besides the structure."""
    return {each.name: getattr(result, each.name) for each in fields(result) if each.name not in {"crystal", "reason"}}


def _to_line(result: Relaxation) -> Line:
    line: Line = {"reason": result.reason} | _numbers(result)
    if result.crystal is not None:
        crystal = result.crystal
        arrays = {"numbers": crystal.numbers, "frac_coords": crystal.frac_coords, "lattice": crystal.lattice}
        line |= {name: array.tolist() for name, array in arrays.items()}
    return line


def _from_line(line: Line, crystal: Crystal) -> Relaxation:
    relaxed = None
    if "lattice" in line:
        relaxed = Crystal(crystal.numbers, np.array(line["frac_coords"]), np.array(line["lattice"]))
    names = {each.name for each in fields(Relaxation)} - {"crystal"}
    return Relaxation(crystal=relaxed, **{name: value for name, value in line.items() if name in names})
