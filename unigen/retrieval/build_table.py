"""From a built dataset to its table of templates: symmetry of every crystal, in processes side by side."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import resolve_dataset
from unigen.disk import durable
from unigen.errors import UserError
from unigen.parallel import Workers
from unigen.retrieval.compositions import stability_of
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.table import (
    SiteGeometry,
    TemplateTable,
    is_followable,
    is_table,
    read_table,
    rewrite_table,
    write_table,
)

TABLE = "templates.parquet"


@dataclass(frozen=True)
class TableResult:
    """What was written.

    Attributes:
        path: the table.
        crystals: rows in it.
        symprec: crystals by the tolerance (Angstrom) their symmetry was found at; 0 is P1 for want of another.
        templates: different sets of space group and letters, elements aside.
        not_followed: crystals that are too large to be followed (``TemplateTable.followable``).
    """

    path: Path
    crystals: int
    symprec: dict[float, int]
    templates: int
    not_followed: int


def table_path(dataset: str | Path) -> tuple[Path, str | None]:
    """The table of ``"mp-20:train"``, ``"mp-20"`` or the path of a table itself, and the split asked for.

    Raises:
        UserError: the dataset has no table yet.
    """
    if Path(dataset).suffix == ".parquet" and is_table(Path(dataset)):
        return Path(dataset), None
    path, split = resolve_dataset(dataset)
    table = path.with_name(TABLE)
    if not table.exists():
        name = str(dataset).rsplit(":", 1)[0]
        raise UserError(f"dataset {name!r} has no templates yet", next_step=f"run: unigen data templates {name}")
    return table, split


def open_table(dataset: str | Path) -> TemplateTable:
    """The templates of a dataset, by name (``"mp-20"``, ``"mp-20:train"``) or by the table's path."""
    return open_retriever(*table_path(dataset)).table


def copy_table(dataset: str, folder: Path) -> int:
    """Put the whole table of a dataset into a folder, as a model's own, but for what is too large to be followed.

    Returns:
        How many crystals were too large.

    Raises:
        UserError: the dataset has no table, or a split was named.
    """
    path, split = table_path(dataset)
    if split is not None:
        raise UserError("a model takes a whole table", got=dataset, wanted=f"a dataset, such as {path.parent.name}")
    table = read_table(path)
    if not table.followable.all():
        rewrite_table(folder / TABLE, table.select(table.followable))
    else:
        with durable(folder / TABLE) as partial:
            shutil.copyfile(path, partial)
    return int((~table.followable).sum())


def build_table(name: str, *, workers: int | None = None, progress: bool = False) -> TableResult:
    """Find the symmetry of all crystals of a dataset and write its table beside it (about 10 ms a crystal).

    Raises:
        UserError: the dataset is not built.
    """
    path, _ = resolve_dataset(name)
    dataset = open_crystals(path)
    with Workers(workers, progress=progress) as pool:
        described = pool.map(_describe, list(dataset), f"symmetry of {name}")
    crystals = [crystal for crystal, _ in described]
    sites = [geometry for _, geometry in described]
    target = path.with_name(TABLE)
    write_table(target, crystals, sites, dataset.ids.tolist(), dataset.split.tolist(), stability_of(dataset))
    templates = {(crystal.space_group, tuple(sorted(crystal.letters.tolist()))) for crystal in crystals}
    return TableResult(
        path=target,
        crystals=len(crystals),
        symprec=dict(Counter(crystal.symprec for crystal in crystals)),
        templates=len(templates),
        not_followed=sum(not is_followable(crystal) for crystal in crystals),
    )


def _describe(crystal: Crystal) -> tuple[SymmetricCrystal, SiteGeometry]:
    symmetric = find_symmetric(crystal)
    return symmetric, SiteGeometry.of(symmetric)
