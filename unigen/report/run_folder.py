"""The folder of a generation run: written sample by sample, so that an interrupted run goes on and loses nothing.

``run.yaml`` what was asked, ``samples.jsonl`` one line a sample (also the journal of the run), ``samples.extxyz``,
``cif/``, and ``cif_symmetrised/`` when asked for.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from unigen.cards import read_yaml, write_yaml
from unigen.data.crystal import Crystal
from unigen.data.durable import durable
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.report.tables import check_sample
from unigen.sample.job import Sample

RUN, JOURNAL, FRAMES = "run.yaml", "samples.jsonl", "samples.extxyz"
_DIGITS = 6


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
            different = sorted(key for key in {*held, *run} if held.get(key) != run.get(key))
            if different:
                key = different[0]
                raise UserError(
                    "this folder holds another run",
                    where=str(self.path),
                    got=f"{key}: {str(run.get(key))[:60]}",
                    wanted=f"{key}: {str(held.get(key))[:60]}",
                    next_step="give another --out",
                )
        elif any(self.path.iterdir()):
            raise UserError("this folder holds other files", where=str(self.path), next_step="give another --out")
        else:
            write_yaml(self.path / RUN, run)

    def open_tasks(self, n_requests: int, n: int) -> list[tuple[int, int]]:
        """(request index, sample index) still to be drawn."""
        every = ((request, index) for request in range(n_requests) for index in range(n))
        return [task for task in every if task not in self.rows]

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
        (self.path / name).mkdir(exist_ok=True)
        for row, crystal in made:
            target = self.path / name / f"{_file_name(row)}.cif"
            if not target.exists():
                with durable(target) as partial:
                    crystal.to_cif(partial, symprec)

    def _read_journal(self) -> Iterator[dict[str, Any]]:
        """The lines that are complete; a line torn by a kill is cut off."""
        journal = self.path / JOURNAL
        if not journal.exists():
            return
        text = journal.read_text(encoding="utf-8")
        complete = text[: text.rfind("\n") + 1]
        if complete != text:
            journal.write_text(complete, encoding="utf-8")
        for line in complete.splitlines():
            yield json.loads(line)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        step = "free some space and run the same command again: it goes on where it stopped" if full else "check --out"
        raise UserError(
            "cannot write the run", where=str(path), got=os.strerror(error.errno or 0), next_step=step
        ) from error


def crystal_of(row: Mapping[str, Any]) -> Crystal | None:
    """The structure of a journal line, None for a failed sample."""
    if "sites" not in row:
        return None
    numbers = np.array([SYMBOLS.index(site["element"]) for site in row["sites"]])
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
        "score": sample.score,
    }
    if sample.source:
        row["source"] = sample.source
    if sample.structure is None:
        return row | {"reason": sample.reason}
    return row | {"checks": check_sample(sample.structure), **_structure(sample.structure)}


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
    return f"{header}\nid={name} index={row['index']} score={row['score']:.4f} {comment}\n{sites}"


def _file_name(row: dict[str, Any]) -> str:
    """``SrTiO3__0``; requests that share a name get their place in the run too."""
    name = re.sub(r"[^A-Za-z0-9.()+-]", "_", str(row["id"]))
    place = "" if "id" in row["request"] or row["request_index"] == 0 else f"_{row['request_index']}"
    return f"{name}{place}__{row['index']}"
