"""Build a dataset: read sources, check and reduce every crystal in worker processes, write one store.

``datasets_home()/NAME`` gets ``crystals.parquet``, ``rejected.csv`` (id, where, reason) and ``build.yaml`` (sources
with checksums, options, counts, version). The bytes do not depend on the number of workers nor on interruptions.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from unigen.cards import DatasetCard
from unigen.config import read_yaml, write_yaml
from unigen.data import recipes
from unigen.data.arrays import read_parquet
from unigen.data.assemble import Assembly, assemble
from unigen.data.checksum import checksum
from unigen.data.composition import reduced_formulas
from unigen.data.count import count_entries
from unigen.data.durable import durable
from unigen.data.progress import counting
from unigen.data.record import Record
from unigen.data.shards import SHARD_ROWS, Rejected, Task, Treatment, build_parts
from unigen.data.sources import read_records
from unigen.data.store import dataset_path, datasets_home, open_dataset
from unigen.errors import UserError

_FORMAT = 1
"""Raise it when the same sources and options would give another store."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What gets into a dataset.

    Attributes:
        dedup: keep the first of crystals that StructureMatcher calls the same.
        exclude_compositions_of: datasets, ``NAME`` or ``NAME:SPLIT``, whose reduced formulas must not occur.
        max_atoms: largest primitive cell.
        merge_splits: forget the sources' splits: every row is split "train" first.
        split_val: fraction of the reduced formulas of split "train" that become split "val".
        symprec: tolerance of the primitive cell, Angstrom.
    """

    dedup: bool = False
    exclude_compositions_of: tuple[str, ...] = ()
    max_atoms: int | None = None
    merge_splits: bool = False
    split_val: float = 0.0
    symprec: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.split_val < 1:
            raise UserError("split_val: not a fraction", got=self.split_val, wanted="0 <= split_val < 1")
        if self.max_atoms is not None and self.max_atoms < 1:
            raise UserError("max_atoms: not a positive count", got=self.max_atoms)


@dataclass(frozen=True)
class BuildResult:
    """What a build made.

    Attributes:
        name: dataset name.
        path: the Parquet store.
        splits: crystals a split.
        rejected: rejected rows by kind of reason.
        already_built: nothing was done, the dataset stood there from the same sources and options.
    """

    name: str
    path: Path
    splits: dict[str, int]
    rejected: dict[str, int]
    already_built: bool = False


@dataclass(frozen=True)
class Source:
    """One source of a build: a path, a built dataset, or (no path yet) the public files of a card."""

    label: str
    card: DatasetCard | None = None
    path: Path | None = None
    dataset: str | None = None

    def records(self, folder: Path) -> Iterator[Record]:
        """Raw records; public files are fetched into the folder first."""
        if self.dataset is not None:
            return read_parquet(self.dataset)
        if self.path is not None:
            return read_records(self.path)
        assert self.card is not None
        return recipes.read_files(self.card, recipes.fetch(self.card, folder))

    @property
    def verified(self) -> bool | None:
        """Whether the card knows the checksum of its files; None for what the user brings."""
        if self.card is None or self.path is not None:
            return None
        return all(file.sha256 for file in self.card.files)

    def count(self) -> int | None:
        """Entries, where that is quickly known."""
        if self.dataset is not None:
            return None if ":" in self.dataset else count_entries(dataset_path(self.dataset))
        if self.path is not None:
            return count_entries(self.path)
        assert self.card is not None
        return self.card.counts.get("rows")

    def checksum(self, folder: Path) -> str:
        """SHA-256 that changes when the source does."""
        if self.dataset is not None:
            return checksum(_store_path(self.dataset))
        if self.path is not None:
            return checksum(self.path)
        assert self.card is not None
        known = [file.sha256 for file in self.card.files]
        if None in known:
            return ",".join(checksum(path) for path in recipes.fetch(self.card, folder))
        return ",".join(str(item) for item in known)


def _store_path(dataset: str) -> Path:
    name = dataset.rsplit(":", 1)[0] if ":" in dataset and not Path(dataset).exists() else dataset
    return dataset_path(name)


def build_dataset(
    name: str,
    sources: tuple[str, ...] = (),
    options: BuildOptions | None = None,
    *,
    workers: int | None = None,
    console: Console | None = None,
) -> BuildResult:
    """Build dataset ``name`` from its public source, from local copies of it, or from any crystals.

    Args:
        name: a recipe (``unigen data list``) or a name of your own.
        sources: paths (see `unigen.data.sources.read_rows`) or built datasets, ``NAME`` or ``NAME:SPLIT``; none for the
            public source of a recipe.
        options: what gets in.
        workers: processes; by default one a core.
        console: where progress is shown; silent without.

    Raises:
        UserError: unknown name or source, no network, wrong checksum, nothing readable, full disk (what was done is
            kept and the next call goes on).
    """
    options = options or BuildOptions()
    if not name or "/" in name or ":" in name or name.startswith("."):
        raise UserError("not a dataset name", got=repr(name), wanted="a plain word such as my-crystals")
    home = datasets_home() / name
    work = home / ".build"
    chosen = _resolve(name, sources)
    plan = _plan(chosen, options, work)
    if (home / "crystals.parquet").exists() and (home / "build.yaml").exists():
        done = read_yaml(home / "build.yaml")
        if {key: done.get(key) for key in plan} == plan:
            return BuildResult(name, home / "crystals.parquet", done["splits"], done["rejected"], already_built=True)
    _prepare(work, plan)
    _report_unverified(plan, console)
    treatment = Treatment(
        symprec=options.symprec,
        max_atoms=options.max_atoms,
        excluded=_formulas(options.exclude_compositions_of),
    )
    workers = workers or os.cpu_count() or 1
    tasks = (Task(record, source.card) for source in chosen for record in source.records(work / "source"))
    with counting(console, f"building {name}", _total(chosen)) as report:
        parts = build_parts(tasks, treatment, work, workers, report)
    if options.dedup and console is not None:
        console.print(f"building {name}: looking for duplicates")
    unique = any(source.card.unique_ids for source in chosen if source.card)
    assembly = assemble(
        parts,
        unique_ids=unique,
        dedup=options.dedup,
        merge_splits=options.merge_splits,
        split_val=options.split_val,
        workers=workers,
    )
    return _publish(name, home, plan, assembly)


def _resolve(name: str, sources: tuple[str, ...]) -> list[Source]:
    card = recipes.recipe(name)
    if not sources:
        if card is None:
            known = ", ".join(sorted(recipes.names()))
            raise UserError(f"no recipe {name!r}", wanted=known, next_step="or say --from PATH for your own crystals")
        return [Source(f"recipe {name}", card)]
    return [_source(text, card) for text in sources]


def _source(text: str, card: DatasetCard | None) -> Source:
    if Path(text).exists():
        return Source(Path(text).name, card, path=Path(text))
    name = text.rsplit(":", 1)[0]
    if (datasets_home() / name / "crystals.parquet").exists():
        return Source(text, None, dataset=text)
    hint = f"run: unigen data build {name}" if recipes.recipe(name) else "names: unigen data list"
    raise UserError("neither a path nor a built dataset", where=f"--from {text}", next_step=hint)


def _report_unverified(plan: dict, console: Console | None) -> None:
    for origin in plan["sources"]:
        if origin["verified"] is False and console is not None:
            console.print(f"{origin['source']}: no checksum on the card to verify against; sha256 {origin['checksum']}")


def _total(sources: list[Source]) -> int | None:
    counts = [source.count() for source in sources]
    return None if None in counts else sum(count for count in counts if count is not None)


def _plan(sources: list[Source], options: BuildOptions, work: Path) -> dict:
    """What the store is determined by; two equal plans give equal bytes."""
    excluded = {item: checksum(_store_path(item)) for item in options.exclude_compositions_of}
    settings = asdict(options) | {"exclude_compositions_of": excluded}
    origins = [
        {
            "source": source.label,
            "checksum": source.checksum(work / "source"),
            "verified": source.verified,
            "recipe": recipes.reading(source.card) if source.card else None,
        }
        for source in sources
    ]
    return {"format": _FORMAT, "version": _version(), "sources": origins, "options": settings}


def _version() -> str:
    try:
        return version("unigen-matter")
    except PackageNotFoundError:
        return "source"


def _prepare(work: Path, plan: dict) -> None:
    """Keep the parts of an interrupted build of the same rows; drop those of another."""
    options = {key: plan["options"][key] for key in ("symprec", "max_atoms", "exclude_compositions_of")}
    rows = json.dumps([plan["format"], plan["version"], plan["sources"], options, SHARD_ROWS])
    key = hashlib.sha256(rows.encode()).hexdigest()
    stamp = work / "plan"
    if not stamp.exists() or stamp.read_text() != key:
        for part in work.glob("part-*.parquet"):
            part.unlink()
        with durable(stamp) as partial:
            partial.write_text(key)


def _formulas(datasets: tuple[str, ...]) -> frozenset[str]:
    return frozenset(formula for name in datasets for formula in reduced_formulas(open_dataset(name)))


def _publish(name: str, home: Path, plan: dict, assembly: Assembly) -> BuildResult:
    """Write the three files, the store last: while it is missing the dataset is not built."""
    kinds = Counter(_kind(row) for row in assembly.rejected)
    rejected = dict(sorted(kinds.items()))
    with durable(home / "rejected.csv") as partial, partial.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("id", "where", "reason"))
        table.writerows((row.id, row.where, row.reason) for row in assembly.rejected)
    store = home / "crystals.parquet"
    (home / "build.yaml").unlink(missing_ok=True)  # else a kill now could leave it to describe another store
    with durable(store) as partial:
        assembly.write(partial)
    write_yaml(home / "build.yaml", {"name": name, **plan, "splits": assembly.splits, "rejected": rejected})
    shutil.rmtree(home / ".build")
    return BuildResult(name, store, assembly.splits, rejected)


def _kind(row: Rejected) -> str:
    """The reason without file, entry and values, to count by."""
    reason = row.reason.removeprefix(f"{row.where}: ").split(";")[0]
    return " ".join(word for word in reason.split() if not any(letter.isdigit() for letter in word))[:80]
