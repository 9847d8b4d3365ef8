"""A folder of relaxed crystals: each is written down when it is done, so that nothing is computed twice.

``relax.yaml`` potential and settings, ``relaxed.jsonl`` one line a distinct structure, in the order of finishing;
`RelaxedSet.write` adds ``relaxed.extxyz``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unigen.data.claimed_folder import claim_folder
from unigen.data.crystal import Crystal
from unigen.data.durable import durable, writing
from unigen.data.line_journal import Line, append_lines, read_lines
from unigen.data.workers import Workers
from unigen.errors import UserError
from unigen.stability.potential import Potential, one_thread
from unigen.stability.relaxation import Relaxation, RelaxSettings, relax

RUN, JOURNAL, FRAMES = "relax.yaml", "relaxed.jsonl", "relaxed.extxyz"


class RelaxedSet:
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
        self._known: dict[str, Relaxation] = {}
        if path is not None:
            _claim(path, {"potential": potential.identity, "settings": asdict(settings)})
            self._known = {line["structure"]: _from_line(line) for line in read_lines(path / JOURNAL)}

    def relax(self, crystals: Sequence[Crystal], workers: Workers) -> list[Relaxation]:
        """One result a crystal, in their order; what the folder holds is not computed again.

        Args:
            crystals: as generated; equal ones are relaxed once.
            workers: one thread each, side by side.
        """
        keys = [structure_key(crystal) for crystal in crystals]
        todo = {key: crystal for key, crystal in zip(keys, crystals, strict=True) if key not in self._known}
        names, tasks = list(todo), list(todo.values())

        def take(place: int, result: Relaxation) -> None:
            if self.path is not None:
                with writing(self.path):
                    append_lines(self.path / JOURNAL, [_to_line(names[place], result)])
            self._known[names[place]] = result

        work = partial(_relax_one, potential=self.potential, settings=self.settings)
        workers.each(work, tasks, f"Relaxing ({self.potential.name})", take)
        return [self._known[key] for key in keys]

    def write(self, named: Iterable[tuple[str, Relaxation]]) -> Path | None:
        """Write ``relaxed.extxyz`` of what has a relaxed structure, energies beside it; returns its path."""
        from ase.io import write

        if self.path is None:
            return None
        of_all = {"potential": self.potential.name, "energy_scheme": self.potential.scheme}
        frames = []
        for name, result in named:
            if result.crystal is not None:
                atoms = result.crystal.to_ase()
                atoms.info = {"id": name} | of_all | _numbers(result)
                frames.append(atoms)
        with durable(self.path / FRAMES) as partial_path:
            write(partial_path, frames, format="extxyz")
        return self.path / FRAMES


def structure_key(crystal: Crystal) -> str:
    """A digest of exactly these arrays."""
    digest = hashlib.sha256()
    for array in (crystal.numbers, crystal.frac_coords, crystal.lattice):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:32]


def _numbers(result: Relaxation) -> dict[str, Any]:
    """What a line says besides the structure."""
    return {each.name: getattr(result, each.name) for each in fields(result) if each.name not in {"crystal", "reason"}}


def _relax_one(crystal: Crystal, potential: Potential, settings: RelaxSettings) -> Relaxation:
    with one_thread():
        return relax(crystal, potential, settings)


def _to_line(key: str, result: Relaxation) -> Line:
    line: Line = {"structure": key, "reason": result.reason} | _numbers(result)
    if result.crystal is not None:
        crystal = result.crystal
        arrays = {"numbers": crystal.numbers, "frac_coords": crystal.frac_coords, "lattice": crystal.lattice}
        line |= {name: array.tolist() for name, array in arrays.items()}
    return line


def _from_line(line: Line) -> Relaxation:
    crystal = None
    if "numbers" in line:
        crystal = Crystal(np.array(line["numbers"]), np.array(line["frac_coords"]), np.array(line["lattice"]))
    names = {each.name for each in fields(Relaxation)} - {"crystal"}
    return Relaxation(crystal=crystal, **{name: value for name, value in line.items() if name in names})


def _claim(path: Path, run: dict[str, Any]) -> None:
    """Make the folder ours, or check that it is."""
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
        held = claim_folder(path, RUN, run)
    for part, wanted in run.items():
        for key, value in wanted.items():
            if held.get(part, {}).get(key) != value:
                raise UserError(
                    "this folder holds relaxations of another kind",
                    where=str(path),
                    got=f"{part}.{key}: {value}",
                    wanted=f"{part}.{key}: {held.get(part, {}).get(key)}",
                    next_step="give another folder",
                )
