"""The folder of a run of crystals: beside the journal ``samples.extxyz``, ``cif/``, and ``cif_symmetrised/``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.template import template_of
from unigen.disk import durable_text, durable_together, writing
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.models.generator import ASKED_PEAKS, Sample
from unigen.request import CrystalRequest
from unigen.runs.folder import PAGE, PICTURE, Row, RunFolder, file_names, was_made
from unigen.runs.formats import DEFAULT, FORMATS, write_structure_files
from unigen.runs.tables import SHOWN, check_sample, samples_table

if TYPE_CHECKING:
    from rich.console import Console

_OF_LAYERS = "how far apart the layers stand follows known crystals, and potentials without dispersion do not judge it"

FRAMES, SYMMETRISED = "samples.extxyz", "cif_symmetrised"
_DIGITS = 6

OF_STABLE = (
    "relaxation",
    "energy_per_atom",
    "formation_energy",
    "above_hull",
    "decomposition",
    "displacement",
    "volume_change",
)
"""What a line of a run that drew until so many were stable says besides."""


class CrystalFolder(RunFolder):
    """A run folder of crystals.

    Args:
        path: the folder.
        symprec: also CIFs symmetrised at this tolerance, Angstrom; None writes none.
        formats: words of `unigen.runs.formats.FORMATS`, of the files of each sample.
    """

    kind, noun = "crystals", "structure"
    written = ("n", "model", "retrieve_from", "exclude_formula", "decoding", "seed", "score", "device")
    decoding = "decoding"
    tools = ("torch", "numpy", "spglib")
    tells = ("checks", "request", "seed", "model", "score")

    def __init__(self, path: Path, *, symprec: float | None = None, formats: Sequence[str] = DEFAULT) -> None:
        super().__init__(path)
        self.symprec, self.formats = symprec, tuple(formats)

    @staticmethod
    def row_of(sample: Sample[CrystalRequest, Crystal]) -> Row:
        """See RunFolder."""
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
        if ASKED_PEAKS in sample.facts:
            row[ASKED_PEAKS] = sample.facts[ASKED_PEAKS]
        if sample.ranking:
            row["ranking"] = sample.ranking
        crystal, template = sample.structure, sample.template
        if crystal is None:
            return row | _symmetry_fields(template) | {"reason": sample.reason}
        checks = check_sample(crystal)
        if template and checks["space_group_number"] != _symmetry_fields(template)["space_group"]:
            template = template_of(crystal) or template  # its numbers happen to have more symmetry
        return row | _symmetry_fields(template) | {"checks": checks, **_structure_fields(crystal)}

    def structure_of(self, row: Row) -> Crystal | None:
        """See RunFolder."""
        if not isinstance(row.get("score"), int | float | None):
            raise TypeError("a score that is no number")
        return crystal_of(row)

    def sample_of(self, row: Row, request: CrystalRequest) -> Sample[CrystalRequest, Crystal]:
        """See RunFolder."""
        return Sample(
            structure=crystal_of(row),
            request=request,
            request_index=row["request_index"],
            index=row["index"],
            seed=row["seed"],
            model=row["model"],
            log_likelihood=row["log_likelihood"],
            score=row["score"] or 0.0,
            reason=row.get("reason", ""),
            source=row.get("source", {}),
            template=row.get("template", ""),
            ranking=row.get("ranking", {}),
            facts={name: row[name] for name in (ASKED_PEAKS, *OF_STABLE) if name in row},
        )

    def write_structures(self, rows: Sequence[Row]) -> None:
        """See RunFolder."""
        crystals = [(row, crystal) for row in rows if (crystal := crystal_of(row)) is not None]
        with durable_text(self.path / FRAMES) as file:
            for row, crystal in crystals:
                file.write(_frame(row, crystal))
        stems = file_names([row for row, _ in crystals])
        named = [(stem, crystal) for stem, (_, crystal) in zip(stems, crystals, strict=True)]
        write_structure_files(self.path, self.formats, named, keep=True, workers=self.workers)
        if self.symprec is not None:  # a run that goes on may have a new tolerance
            with writing(self.path), durable_together() as begin:
                for stem, crystal in named:
                    crystal.to_cif(begin(self.path / SYMMETRISED / f"{stem}.cif"), self.symprec)

    def remove_structures(self) -> None:
        """Remove what `write_structures` made, page and picture: of other answers than the folder will hold."""
        with writing(self.path):
            for name in (*FORMATS, SYMMETRISED):
                if (self.path / name).is_dir():
                    rmtree(self.path / name)
            for name in (PAGE, PICTURE):  # made of the structures, too
                (self.path / name).unlink(missing_ok=True)

    def print_summary(self, rows: Sequence[Row], console: Console) -> None:
        """See RunFolder."""
        made = [row for row in rows if was_made(row)]
        failed = [row for row in rows if not was_made(row)]
        described = [
            row["checks"]
            | {"crystal": crystal_of(row)}
            | {name: row[name] for name in ("log_likelihood", "source", "above_hull") if name in row}
            for row in made[:SHOWN]
        ]
        console.print(samples_table(described, len(made), console.width))
        valid = sum(row["checks"]["valid"] for row in made)
        counts = f"{len(made)} crystals, {valid} valid, {len(failed)} failed"
        console.out(f"{counts}; written to {self.path}", highlight=False)
        supercells = [row for row in made if "primitive_atoms" in row["checks"]]
        if supercells:
            first = supercells[0]
            example = f"{first['id']}: {first['checks']['primitive_atoms']} of {len(first['sites'])} atoms"
            counted = f"{len(supercells)} of {len(made)} are supercells of a smaller primitive cell"
            console.out(f"{counted} (primitive_atoms in samples.jsonl), such as {example}", highlight=False)
        layered = sum(row["checks"].get("network") == "layers" for row in made)
        if layered:
            console.out(
                f"{layered} of {len(made)} are layered (network in samples.jsonl): {_OF_LAYERS}", highlight=False
            )
        if failed:
            console.out(f"why, for the first: {failed[0]['id']}: {failed[0]['reason']}", highlight=False)


def crystal_of(row: Mapping[str, Any]) -> Crystal | None:
    """The structure of a journal line, None for a failed sample."""
    if "sites" not in row:
        return None
    numbers = np.array([ATOMIC_NUMBER[site["element"]] for site in row["sites"]])
    return Crystal(
        numbers, np.array([site["fractional_coordinates"] for site in row["sites"]]), np.array(row["lattice"])
    )


def _symmetry_fields(template: str) -> dict[str, Any]:
    return {"space_group": int(template.split(maxsplit=1)[0]), "template": template} if template else {}


def _structure_fields(crystal: Crystal) -> dict[str, Any]:
    sites = zip(crystal.numbers.tolist(), crystal.frac_coords.round(_DIGITS).tolist(), strict=True)
    return {
        "lattice": crystal.lattice.round(_DIGITS).tolist(),
        "sites": [{"element": SYMBOLS[number], "fractional_coordinates": position} for number, position in sites],
    }


def _frame(row: Row, crystal: Crystal) -> str:
    """One extxyz frame that names the sample."""
    header, _, rest = crystal.to_extxyz().partition("\n")
    comment, _, sites = rest.partition("\n")
    name = re.sub(r"[\s\"=]", "_", str(row["id"]))  # these would end a key=value of the comment line
    score = "" if row["score"] is None else f"score={row['score']:.4f} "
    return f"{header}\nid={name} index={row['index']} {score}{comment}\n{sites}"
