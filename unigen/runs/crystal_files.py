"""The folder of a run of crystals: beside the journal ``samples.extxyz``, ``cif/``, and ``cif_symmetrised/``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.template import template_of
from unigen.disk import durable, writing
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.models.generator import Sample
from unigen.request import CrystalRequest
from unigen.runs.folder import Journal, Row, file_names
from unigen.runs.tables import check_sample

FRAMES = "samples.extxyz"
_DIGITS = 6


class RunFolder(Journal):
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
        super().__init__(path, run)
        self.symprec, self.cif = symprec, cif

    def row_of(self, sample: Sample[CrystalRequest, Crystal]) -> Row:
        """See Journal."""
        return _row(sample)

    def finish(self) -> list[Row]:
        """Sort the journal and write the structure files; returns the rows in order."""
        rows = self.sort()
        made = [(row, crystal) for row in rows if (crystal := crystal_of(row)) is not None]
        with durable(self.path / FRAMES) as partial, partial.open("w", encoding="utf-8") as file:
            for row, crystal in made:
                file.write(_frame(row, crystal))
        with writing(self.path):
            if self.cif:
                self._write_cifs("cif", made, None)
            if self.symprec is not None:
                self._write_cifs("cif_symmetrised", made, self.symprec)
        return rows

    def _write_cifs(self, name: str, made: list[tuple[Row, Crystal]], symprec: float | None) -> None:
        """One file a sample; P1 files are a function of the run and kept, symmetrised ones may have a new tolerance."""
        (self.path / name).mkdir(exist_ok=True)
        for stem, (_, crystal) in zip(file_names([row for row, _ in made]), made, strict=True):
            target = self.path / name / f"{stem}.cif"
            if symprec is not None or not target.exists():
                with durable(target) as partial:
                    crystal.to_cif(partial, symprec)


def crystal_of(row: Mapping[str, Any]) -> Crystal | None:
    """The structure of a journal line, None for a failed sample."""
    if "sites" not in row:
        return None
    numbers = np.array([ATOMIC_NUMBER[site["element"]] for site in row["sites"]])
    return Crystal(
        numbers, np.array([site["fractional_coordinates"] for site in row["sites"]]), np.array(row["lattice"])
    )


def _row(sample: Sample[CrystalRequest, Crystal]) -> Row:
    request = sample.request
    row: Row = {
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
        template = template_of(sample.structure) or template  # its numbers happen to have more symmetry
    return row | _stated(template) | {"checks": checks, **_structure(sample.structure)}


def _stated(template: str) -> dict[str, Any]:
    return {"space_group": int(template.split(maxsplit=1)[0]), "template": template} if template else {}


def _structure(crystal: Crystal) -> dict[str, Any]:
    sites = zip(crystal.numbers.tolist(), crystal.frac_coords.round(_DIGITS).tolist(), strict=True)
    return {
        "lattice": crystal.lattice.round(_DIGITS).tolist(),
        "sites": [{"element": SYMBOLS[number], "fractional_coordinates": place} for number, place in sites],
    }


def _frame(row: Row, crystal: Crystal) -> str:
    """One extxyz frame that names the sample."""
    header, _, rest = crystal.to_extxyz().partition("\n")
    comment, _, sites = rest.partition("\n")
    name = re.sub(r"[\s\"=]", "_", str(row["id"]))
    score = "" if row["score"] is None else f"score={row['score']:.4f} "
    return f"{header}\nid={name} index={row['index']} {score}{comment}\n{sites}"
