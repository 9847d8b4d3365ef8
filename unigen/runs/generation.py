"""A generation run from request to folder, with a progress bar: what ``unigen generate`` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from rich.console import Console

from unigen.errors import UserError
from unigen.models.generator import Generator
from unigen.report.generation_page import write_run_page
from unigen.report.pictures.crystals import draw_crystals
from unigen.request import CrystalRequest
from unigen.runs.crystal_files import RunFolder, crystal_of
from unigen.runs.drawing import DRAWN, PICTURE, progress_bar, say_remarks
from unigen.runs.folder import run_facts
from unigen.runs.tables import SHOWN, samples_table
from unigen.sample.generate import iter_samples
from unigen.sample.load import load


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run generates.

    Attributes:
        n: samples a request.
        model: bundled name, model folder, or ``nearest``.
        retrieve_from: dataset that known structures come from; by default the model's own table.
        exclude_formula: known structures of the request's own formula are left out.
        decoding: settings of the model that are given, by name; see ``unigen.sample.load.load``.
        seed: same seed and device, same bytes.
        rank: candidates a sample, of which the likeliest is kept.
        score: compute each sample's exact log-likelihood.
        symprec: tolerance of symmetrised CIF copies, Angstrom; None writes none.
        cif: write one CIF a sample.
        picture: draw the first samples into ``samples.png``.
        page: write ``report.html``.
        batch_size: candidates drawn at once.
        device: of torch.
    """

    n: int = 1
    model: str = "unigen-crystal-small"
    retrieve_from: str | None = None
    exclude_formula: bool = False
    decoding: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    rank: int = 1
    score: bool = True
    symprec: float | None = None
    cif: bool = True
    picture: bool = True
    page: bool = True
    batch_size: int = 512
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.rank > 1 and not self.score:
            raise UserError("ranking needs the likelihood", next_step="leave out --no-score")

    def load(self) -> Generator:
        """The generator."""
        return load(
            self.model,
            device=self.device,
            makes="crystals",
            score=self.score,
            retrieve_from=self.retrieve_from,
            exclude_formula=self.exclude_formula,
            **self.decoding,
        )

    def facts(self, generator: Generator, requests: Sequence[CrystalRequest]) -> dict[str, Any]:
        """What determines the samples, for ``run.yaml``: not the batch size, nor which files are written."""
        unsaid = ("batch_size", "cif", "picture", "page", "symprec")
        return run_facts(self, generator, requests, unsaid, ("torch", "numpy", "spglib"), drawn_by="decoding")


def run_generation(
    requests: Sequence[CrystalRequest], out: Path, settings: RunSettings, console: Console | None = None
) -> list[dict[str, Any]]:
    """Draw what the folder does not hold yet, write all files, print the table; returns one row a sample.

    Args:
        requests: what is wanted.
        out: run folder; an interrupted run goes on.
        settings: how.
        console: for progress and table; silent without.

    Raises:
        UserError: the folder holds another run, the disk is full, or every sample failed.
    """
    generator = settings.load()
    say_remarks(generator, requests, console)
    facts = settings.facts(generator, requests)
    folder = RunFolder(out, facts, symprec=settings.symprec, cif=settings.cif)
    tasks = list(product(range(len(requests)), range(settings.n)))
    with progress_bar(console, len(tasks), len(folder.finished)) as advance:
        size, finished = settings.batch_size, folder.finished
        for samples in iter_samples(generator, requests, tasks, settings.seed, settings.rank, size, finished):
            folder.append(samples)
            advance(len(samples))
    rows = folder.finish()
    _report(rows, out, console)
    if settings.picture:
        draw_crystals([crystal for row in rows if (crystal := crystal_of(row))][:DRAWN], out / PICTURE)
    if settings.page:
        write_run_page(out, rows, "crystals")
    return rows


def _report(rows: list[dict[str, Any]], out: Path, console: Console | None) -> None:
    made = [row for row in rows if "sites" in row]
    failed = [row for row in rows if "sites" not in row]
    if not made:
        raise UserError(f"no structure was made ({len(failed)} failed)", got=failed[0]["reason"])
    if console is None:
        return
    facts = ("log_likelihood", "source")
    described = [
        row["checks"] | {"crystal": crystal_of(row)} | {key: row[key] for key in facts if key in row}
        for row in made[:SHOWN]
    ]
    console.print(samples_table(described, len(made)))
    valid = sum(row["checks"]["valid"] for row in made)
    console.print(f"{len(made)} crystals, {valid} valid, {len(failed)} failed; written to {out}", highlight=False)
    if failed:
        console.print(f"why, for the first: {failed[0]['id']}: {failed[0]['reason']}", highlight=False)
