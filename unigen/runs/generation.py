"""A generation run from requests to a folder: what ``unigen generate`` does, whatever is generated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.cards import Kind
from unigen.disk import alone_in, sha256_of
from unigen.errors import UserError
from unigen.models.generator import Generator
from unigen.parallel import ProgressBar
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.folder import Row, RunFolder, was_made
from unigen.runs.tables import SHOWN
from unigen.sample.generate import iter_samples
from unigen.sample.load import load
from unigen.version import __version__

if TYPE_CHECKING:
    from rich.console import Console

Request = CrystalRequest | MoleculeRequest


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """How a run generates; what a kind of structure does not have stays at its default.

    Attributes:
        n: samples a request.
        model: bundled name, model folder, or ``nearest``.
        retrieve_from: dataset that known structures come from; by default the model's own table.
        exclude_formula: known structures of the request's own formula are left out.
        decoding: settings of the model that are given, by name; see ``unigen.sample.load.load``.
        seed: same seed and device, same bytes.
        rank: candidates a sample, of which the likeliest is kept.
        score: compute each sample's exact log-likelihood.
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
    batch_size: int = 512
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.rank > 1 and not self.score:
            raise UserError("ranking needs the likelihood", next_step="leave out --no-score")

    def load(self, makes: Kind | None = None) -> Generator:
        """The generator.

        Args:
            makes: what is wanted of a model that makes both.
        """
        return load(
            self.model,
            device=self.device,
            makes=makes,
            score=self.score,
            retrieve_from=self.retrieve_from,
            exclude_formula=self.exclude_formula,
            **self.decoding,
        )

    def facts(self, generator: Generator, requests: Sequence[Request], folder: RunFolder) -> dict[str, Any]:
        """What determines the samples, for ``run.yaml``: not the batch size, nor which files are written.

        The model goes by the generator's name: its path may be written in many ways.

        Raises:
            UserError: a setting that structures of this kind do not have.
        """
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name not in (*folder.written, "decoding", "batch_size") and value != each.default:
                raise UserError(f"a run of {folder.kind} has no setting {each.name!r}", got=value)
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        values |= {"model": generator.name, folder.decoding: asdict(generator.settings)}
        return {
            "unigen": __version__,
            **{name: values[name] for name in folder.written},
            "version": generator.version,
            "versions": {name: version(name) for name in folder.tools},
            "requests": [request.to_dict() for request in requests],
            **_patterns(requests),
        }


def _patterns(requests: Sequence[Request]) -> dict[str, dict[str, str]]:
    """The checksums of the requests' powder patterns: another one under the same path makes another run."""
    paths = {request.pxrd for request in requests if isinstance(request, CrystalRequest) and request.pxrd is not None}
    for path in sorted(paths):
        if not Path(path).is_file():
            raise UserError("no such powder pattern", where=path, next_step="give the path of a file")
    return {"patterns": {path: sha256_of(Path(path)) for path in sorted(paths)}} if paths else {}


def run_generation(
    requests: Sequence[CrystalRequest] | Sequence[MoleculeRequest],
    folder: RunFolder,
    settings: RunSettings,
    console: Console | None = None,
) -> list[Row]:
    """Draw what the folder does not hold yet, write all files, print the table; returns one row a sample.

    Args:
        requests: what is wanted.
        folder: of their kind; an interrupted run goes on.
        settings: how.
        console: for remarks, progress and table; silent without.

    Raises:
        UserError: a model that makes something else, the folder holds another run, the disk is full, or every sample
            failed.
    """
    generator = settings.load(folder.kind)
    if console is not None:
        lines = dict.fromkeys(line for request in requests for line in remarks(generator, request))
        for line in list(lines)[:SHOWN]:
            console.out(line, highlight=False)
    facts = settings.facts(generator, requests, folder)
    tasks = list(product(range(len(requests)), range(settings.n)))
    with alone_in(folder.path):
        folder.claim(facts)
        with ProgressBar("generating", len(tasks), done=len(folder.finished), shown=console is not None) as bar:
            for samples in iter_samples(
                generator, requests, tasks, settings.seed, settings.rank, settings.batch_size, folder.finished
            ):
                folder.append(samples)
                bar.advance(len(samples))
        rows = folder.finish()
    if not any(map(was_made, rows)):
        raise UserError(f"no {folder.noun} was made ({len(rows)} failed)", got=rows[0]["reason"])
    if console is not None:
        folder.print_summary(rows, console)
    return rows


def remarks(generator: Generator, request: Request) -> list[str]:
    """What should be known of a request before it is drawn.

    Returns:
        A line a property: its value and unit beside the range of the training data, a warning outside of it.

    Raises:
        UserError: a property that the model does not know.
    """
    ranges = generator.ranges(request.properties)
    return [_remark(name, request.properties[name], unit, low, high) for name, (low, high, unit) in ranges.items()]


def _remark(name: str, value: float, unit: str, low: float, high: float) -> str:
    requested, seen = (f"{text} {unit}".rstrip() for text in (f"{name} {value:g}", f"{low:.4g} to {high:.4g}"))
    if low <= value <= high:
        return f"{requested} ({seen})"
    return f"warning: {requested} lies outside of the training data: {seen}"
