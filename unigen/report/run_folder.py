"""The folder of a generation run: written sample by sample, so that an interrupted run goes on and loses nothing.

``run.yaml`` what was asked, ``samples.jsonl`` one line a sample (also the journal of the run), ``samples.extxyz``,
``cif/``, and ``cif_symmetrised/`` when asked for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, KeysView, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unigen.config import read_yaml, write_yaml
from unigen.data.crystal import Crystal
from unigen.data.durable import FREE_SPACE, NO_SPACE, durable
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.errors import UserError
from unigen.report.symmetry import found_template
from unigen.report.tables import check_sample
from unigen.sample.job import Sample

RUN, JOURNAL, FRAMES = "run.yaml", "samples.jsonl", "samples.extxyz"
NOT_COMPARED = ("versions",)
"""Written in ``run.yaml`` for the reader; a run may go on after an update of these."""

_DIGITS = 6
_LONGEST_STEM = 120
"""Characters; file systems allow 255 bytes."""


class RunFolder:
    """A run folder, new or continued.

    Args:
        path: the folder; made if need be.
        run: everything that determines the samples. A folder that holds another run is refused.
        symprec: tolerance of the symmetrised CIF copies, Angstrom; None writes none.
        cif: write one CIF a sample.

    Raises:
        UserError: the folder holds another run or other files, or cannot be written.
    """

    def __init__(self, path: Path, run: dict[str, Any], *, symprec: float | None = None, cif: bool = True) -> None:
        self.path, self.symprec, self.cif = path, symprec, cif
        with _writing(path):
            path.mkdir(parents=True, exist_ok=True)
            self._claim(json.loads(json.dumps(run)))
        self.rows = {(row["request_index"], row["index"]): row for row in self._read_journal()}

    def _claim(self, run: dict[str, Any]) -> None:
        if (self.path / RUN).exists():
            held = read_yaml(self.path / RUN)
            compared = {*held, *run} - {*NOT_COMPARED}
            different = sorted(key for key in compared if held.get(key) != run.get(key))
            if different:
                key = different[0]
                raise UserError(
                    "this folder holds another run",
                    where=str(self.path),
                    got=f"{key}: {str(run.get(key))[:60]}",
                    wanted=f"{key}: {str(held.get(key))[:60]}",
                    next_step="give another --out",
                )
        elif any(file.name != f".{RUN}.partial" for file in self.path.iterdir()):  # that one: killed at its start
            raise UserError("this folder holds other files", where=str(self.path), next_step="give another --out")
        else:
            write_yaml(self.path / RUN, run)

    @property
    def finished(self) -> KeysView[tuple[int, int]]:
        """(request index, sample index) of what need not be drawn again."""
        return self.rows.keys()

    def append(self, samples: Iterable[Sample]) -> None:
        """Add finished samples to the journal, synced to disk."""
        rows = [_row(sample) for sample in samples]
        with _writing(self.path), (self.path / JOURNAL).open("a", encoding="utf-8") as file:
            file.writelines(_line(row) for row in rows)
            file.flush()
            os.fsync(file.fileno())
        self.rows |= {(row["request_index"], row["index"]): row for row in rows}

    def finish(self) -> list[dict[str, Any]]:
        """Sort the journal and write the structure files; returns the rows in order."""
        rows = [self.rows[key] for key in sorted(self.rows)]
        with durable(self.path / JOURNAL) as partial:
            partial.write_text("".join(_line(row) for row in rows), encoding="utf-8")
        made = [(row, crystal) for row in rows if (crystal := crystal_of(row)) is not None]
        with durable(self.path / FRAMES) as partial, partial.open("w", encoding="utf-8") as file:
            for row, crystal in made:
                file.write(_frame(row, crystal))
        with _writing(self.path):
            if self.cif:
                self._write_cifs("cif", made, None)
            if self.symprec is not None:
                self._write_cifs("cif_symmetrised", made, self.symprec)
        return rows

    def _write_cifs(self, name: str, made: list[tuple[dict[str, Any], Crystal]], symprec: float | None) -> None:
        """One file a sample; P1 files are a function of the run and kept, symmetrised ones may have a new tolerance."""
        (self.path / name).mkdir(exist_ok=True)
        for stem, (_, crystal) in zip(_file_names([row for row, _ in made]), made, strict=True):
            target = self.path / name / f"{stem}.cif"
            if symprec is not None or not target.exists():
                with durable(target) as partial:
                    crystal.to_cif(partial, symprec)

    def _read_journal(self) -> Iterator[dict[str, Any]]:
        """The lines that are whole. The end of a line torn by a kill is cut off; what it held is drawn again."""
        journal = self.path / JOURNAL
        if not journal.exists():
            return
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(journal, whole)  # never rewritten: on a full disk that would lose it
        for line in content[:whole].splitlines():
            try:
                yield json.loads(line)
            except ValueError:  # a crash of the machine may leave zeros: drawn again, to the same bytes
                continue


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        step = FREE_SPACE if error.errno in NO_SPACE else "check --out"
        raise UserError(
            "cannot write the run", where=str(path), got=os.strerror(error.errno or 0), next_step=step
        ) from error


def crystal_of(row: Mapping[str, Any]) -> Crystal | None:
    """The structure of a journal line, None for a failed sample."""
    if "sites" not in row:
        return None
    numbers = np.array([ATOMIC_NUMBER[site["element"]] for site in row["sites"]])
    return Crystal(
        numbers, np.array([site["fractional_coordinates"] for site in row["sites"]]), np.array(row["lattice"])
    )


def _row(sample: Sample) -> dict[str, Any]:
    request = sample.request
    row: dict[str, Any] = {
        "id": request.id or request.formula or "de_novo",
        "request_index": sample.request_index,
        "index": sample.index,
        "request": request.to_dict(),
        "seed": sample.seed,
        "model": sample.model,
        "log_likelihood": sample.log_likelihood,
        "score": sample.score if sample.source or sample.log_likelihood is not None else None,
    }
    if sample.source:
        row["source"] = sample.source
    if sample.structure is None:
        return row | _stated(sample.template) | {"reason": sample.reason}
    checks = check_sample(sample.structure)
    template = sample.template
    if template and checks["space_group_number"] != _stated(template)["space_group"]:
        template = found_template(sample.structure) or template  # its numbers happen to have more symmetry
    return row | _stated(template) | {"checks": checks, **_structure(sample.structure)}


def _stated(template: str) -> dict[str, Any]:
    return {"space_group": int(template.split(maxsplit=1)[0]), "template": template} if template else {}


def _structure(crystal: Crystal) -> dict[str, Any]:
    sites = zip(crystal.numbers.tolist(), crystal.frac_coords.round(_DIGITS).tolist(), strict=True)
    return {
        "lattice": crystal.lattice.round(_DIGITS).tolist(),
        "sites": [{"element": SYMBOLS[number], "fractional_coordinates": place} for number, place in sites],
    }


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row) + "\n"


def _frame(row: dict[str, Any], crystal: Crystal) -> str:
    """One extxyz frame that names the sample."""
    header, _, rest = crystal.to_extxyz().partition("\n")
    comment, _, sites = rest.partition("\n")
    name = re.sub(r"[\s\"=]", "_", str(row["id"]))
    score = "" if row["score"] is None else f"score={row['score']:.4f} "
    return f"{header}\nid={name} index={row['index']} {score}{comment}\n{sites}"


def _file_names(rows: list[dict[str, Any]]) -> list[str]:
    """``SrTiO3__0``; requests whose names would give one file (on any file system) carry their place in the run."""
    stems = [re.sub(r"[^A-Za-z0-9.()+-]", "_", str(row["id"]))[:_LONGEST_STEM].lstrip(".") for row in rows]
    places: dict[str, set[int]] = {}
    for stem, row in zip(stems, rows, strict=True):
        places.setdefault(stem.lower(), set()).add(row["request_index"])
    return [
        f"{stem}_{row['request_index']}__{row['index']}" if len(places[stem.lower()]) > 1 else f"{stem}__{row['index']}"
        for stem, row in zip(stems, rows, strict=True)
    ]
