"""Structures from anywhere as samples: ours, pymatgen's, ASE's, RDKit's, files, folders, and lists of these."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from unigen.api.run_folder import is_run, open_run
from unigen.api.samples import Samples, request_of_structure
from unigen.crystals.crystal import Crystal
from unigen.data.readers.contents import kind_of
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.molecules import read_molecule_rows
from unigen.data.readers.record import Row
from unigen.errors import UserError
from unigen.eval.crystals.samples import read_statement
from unigen.eval.samples import read_integer
from unigen.models.generator import Sample
from unigen.molecules.molecule import Molecule

POSITIONS = "positions"
"""The fact that says which estimate the positions of a structure are, where its source tells none."""

ACCEPTED = (
    "Samples, a Sample, Crystal, Molecule, pymatgen Structure, ASE Atoms or RDKit Mol, a path, or a list of these"
)


def samples_of(given: object, name: str = "structure") -> tuple[Samples, bool]:
    """What is given as samples, and whether it was a single structure.

    Args:
        given: `ACCEPTED`. What cannot be read is a failed sample among the others.
        name: what has none is called by it and by its place in the list.

    Raises:
        UserError: nothing of this kind, no such file, nothing in it, crystals and molecules together.
    """
    if isinstance(given, Samples):
        return given, False
    if isinstance(given, Sample):
        return Samples([given]), True
    if isinstance(given, str | Path):
        return _of_path(Path(given)), False
    single = _row(given, f"{name}-0")
    if single is not None:
        return _of_rows([single]), True
    if not isinstance(given, Iterable):
        raise UserError("no structure", got=type(given).__name__, wanted=ACCEPTED)
    parts = list(given)
    if not parts:
        raise UserError("no structures: an empty list", wanted=ACCEPTED)
    rows = [_row(part, f"{name}-{place}") for place, part in enumerate(parts)]
    samples: list[Sample[Any, Any]] = []
    if all(row is not None for row in rows):
        samples += _of_rows([row for row in rows if row is not None])
    else:
        for place, (part, row) in enumerate(zip(parts, rows, strict=True)):
            samples += samples_of(part, f"{name}-{place}")[0] if row is None else _of_rows([row])
    if len({isinstance(sample.structure, Molecule) for sample in samples if sample.structure is not None}) > 1:
        raise UserError("crystals and molecules together", next_step="give each kind by itself")
    return Samples(samples), False


def _of_path(path: Path) -> Samples:
    if is_run(path):
        return open_run(path)
    if not path.exists():
        raise UserError("no such file or folder", where=str(path), wanted=ACCEPTED)
    rows: Iterator[Row[Any]] = read_crystal_rows(path) if kind_of(path) == "crystals" else read_molecule_rows(path)
    return _of_rows(list(rows))


def _of_rows(rows: list[Row[Any]]) -> Samples:
    """A sample an entry; those of one composition are samples of one request."""
    requests: dict[str, int] = {}
    numbers: dict[int, count[int]] = {}
    samples = []
    for row in rows:
        structure = row.structure
        key = row.name if structure is None else str(getattr(structure, "reduced_formula", row.name))
        place = requests.setdefault(key, len(requests))
        stated = read_statement(row.info)
        request = stated.request if stated is not None and stated.request is not None else None
        index = read_integer(row.info.get("index"))
        own = next(numbers.setdefault(place, count()))
        samples.append(
            Sample(
                structure=structure,
                request=replace(request, id=row.name) if request else request_of_structure(structure, row.name),
                request_index=place,
                index=own if index is None else index,
                seed=read_integer(row.info.get("seed")) or 0,
                model=str(row.info.get("model", "")),
                log_likelihood=None,
                score=0.0,
                reason=row.reason,
                facts={} if row.origin == "given" else {POSITIONS: row.origin},
            )
        )
    return Samples(samples)


def _row(given: object, name: str) -> Row[Any] | None:
    """The row of a single structure in memory, which is called so; None for anything else."""
    if isinstance(given, Row):
        return given
    if isinstance(given, Crystal | Molecule):
        return Row(name, given)
    if _is(given, "pymatgen.core", "IStructure"):
        return Row(name, Crystal.from_pymatgen(given, name))  # type: ignore[arg-type]
    if _is(given, "rdkit.Chem", "Mol"):
        return Row(name, Molecule.from_rdkit(given, name))  # type: ignore[arg-type]
    if _is(given, "ase", "Atoms"):
        periodic = bool(given.pbc.any())  # type: ignore[attr-defined]
        read: Any = Crystal.from_ase if periodic else Molecule.from_ase
        return Row(name, read(given, where=name))
    return None


def _is(given: object, module: str, name: str) -> bool:
    """Whether this is an object of a library's class: nobody has one who has not imported the library."""
    loaded = sys.modules.get(module)
    return loaded is not None and isinstance(given, getattr(loaded, name, ()))
