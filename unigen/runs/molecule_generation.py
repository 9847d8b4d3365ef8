"""A run of molecules from request to folder: what ``unigen generate molecule`` does."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from unigen.errors import UserError
from unigen.models.generator import Generator
from unigen.report.generation_page import write_run_page
from unigen.report.pictures.molecules import draw_molecules
from unigen.request import MoleculeRequest
from unigen.runs.drawing import DRAWN, PICTURE, progress_bar, say_remarks
from unigen.runs.folder import Row, run_facts
from unigen.runs.molecule_files import SDF, MoleculeFolder, molecule_of
from unigen.runs.tables import molecules_table
from unigen.sample.generate import iter_samples
from unigen.sample.load import load


@dataclass(frozen=True, kw_only=True)
class MoleculeRun:
    """How a run generates molecules.

    Attributes:
        n: samples a request.
        model: bundled name or model folder.
        drawing: settings of the model that are given, by name; see ``unigen.sample.load.load``.
        seed: same seed and device, same bytes.
        picture: draw the first samples into ``samples.png``.
        page: write ``report.html``.
        batch_size: molecules drawn at once.
        device: of torch.
    """

    n: int = 1
    model: str = "unigen-molecule-small"
    drawing: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    picture: bool = True
    page: bool = True
    batch_size: int = 256
    device: str = "cpu"

    def load(self) -> Generator:
        """The generator."""
        return load(self.model, device=self.device, makes="molecules", **self.drawing)

    def facts(self, generator: Generator, requests: Sequence[MoleculeRequest]) -> dict[str, Any]:
        """What determines the samples, for ``run.yaml``: not the batch size, nor pictures."""
        unsaid, tools = ("batch_size", "picture", "page"), ("torch", "numpy", "rdkit")
        return run_facts(self, generator, requests, unsaid, tools, drawn_by="drawing")


def run_molecules(
    requests: Sequence[MoleculeRequest], out: Path, settings: MoleculeRun, console: Console | None = None
) -> list[Row]:
    """Draw what the folder does not hold yet, write all files, print the table; returns one row a sample.

    Args:
        requests: what is wanted.
        out: run folder; an interrupted run goes on.
        settings: how.
        console: for remarks, progress and table; silent without.

    Raises:
        UserError: the folder holds another run, the disk is full, or every sample failed.
    """
    generator = settings.load()
    say_remarks(generator, requests, console)
    folder = MoleculeFolder(out, settings.facts(generator, requests))
    tasks = list(product(range(len(requests)), range(settings.n)))
    with progress_bar(console, len(tasks), len(folder.finished)) as advance:
        size, finished = settings.batch_size, folder.finished
        for samples in iter_samples(generator, requests, tasks, settings.seed, 1, size, finished):
            folder.append(samples)
            advance(len(samples))
    rows = folder.finish()
    made = [row for row in rows if "molecule" in row]
    if not made:
        raise UserError(f"no molecule was made ({len(rows)} failed)", got=rows[0]["reason"])
    if console is not None:
        _report(rows, made, out, console)
    if settings.picture:
        molecules = [molecule for row in made[:DRAWN] if (molecule := molecule_of(row))]
        draw_molecules(molecules, out / PICTURE)
    if settings.page:
        write_run_page(out, rows, "molecules")
    return rows


def _report(rows: list[Row], made: list[Row], out: Path, console: Console) -> None:
    console.print(molecules_table(made, len(made)))
    failed = [row for row in rows if "molecule" not in row]
    again = sum(row.get("redraws", 0) for row in rows)
    redrawn = f", {again} drawn again (another stereo, or broken)" if again else ""
    console.print(
        f"{len(made)} molecules{redrawn}, {len(failed)} dropped; written to {out / SDF}",
        highlight=False,
        soft_wrap=True,
    )
    if cleaned := Counter(row["relaxed"] for row in made if "relaxed" in row):
        console.print(", ".join(f"{name}: {count}" for name, count in cleaned.items()), highlight=False)
    if failed:
        console.print(f"why, for the first: {failed[0]['id']}: {failed[0]['reason']}", highlight=False, soft_wrap=True)
