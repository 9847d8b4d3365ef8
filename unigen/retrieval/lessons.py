"""What a model is taught about following neighbours: one row a crystal, in the order of its dataset (Parquet).

Columns: ``sources`` list<int32>, ``distance`` list<float>, ``roles`` list<uint8> (an element after another, neighbour
by neighbour), ``kind`` list<uint8>, ``rms`` list<float> (a kind; NaN = no match), ``aligned_at`` list<uint8>,
``aligned_lattice`` list<float> (6 each), ``aligned_free`` list<float> (3 an orbit, neighbour by neighbour).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unigen.data.dataset_file import open_table
from unigen.data.ragged import list_items
from unigen.disk import durable
from unigen.errors import UserError
from unigen.retrieval.shortlist import Retriever, Shortlist
from unigen.retrieval.table import TemplateTable
from unigen.shapes import Float, Int

LESSONS = "neighbours.parquet"

_COLUMNS = {
    "sources": pa.int32(),
    "distance": pa.float32(),
    "roles": pa.uint8(),
    "kind": pa.uint8(),
    "rms": pa.float32(),
    "aligned_at": pa.uint8(),
    "aligned_lattice": pa.float32(),
    "aligned_free": pa.float32(),
}


@dataclass(frozen=True, eq=False)
class Lesson:
    """One crystal's shortlist and how right its neighbours are.

    Attributes:
        shortlist: neighbours of other formulas.
        rms: of the substituted nearest neighbour of each kind against the crystal, NaN where they do not match.
        aligned_at: the neighbours of the same template, a few of them.
        aligned_lattice: the crystal's conventional cell in the setting of each of these.
        aligned_free: its free parameters there, orbits in the neighbour's order.
    """

    shortlist: Shortlist
    rms: Float[np.ndarray, "kinds"]
    aligned_at: Int[np.ndarray, "aligned"]
    aligned_lattice: Float[np.ndarray, "aligned 6"]
    aligned_free: Float[np.ndarray, "aligned orbits 3"]


def write_lessons(path: Path, lessons: list[Lesson]) -> None:
    """Write them, whole or not at all."""
    rows = [
        {
            "sources": lesson.shortlist.sources.tolist(),
            "distance": lesson.shortlist.distance.tolist(),
            "roles": lesson.shortlist.roles.ravel().tolist(),
            "kind": lesson.shortlist.kind.tolist(),
            "rms": lesson.rms.tolist(),
            "aligned_at": lesson.aligned_at.tolist(),
            "aligned_lattice": lesson.aligned_lattice.ravel().tolist(),
            "aligned_free": lesson.aligned_free.ravel().tolist(),
        }
        for lesson in lessons
    ]
    columns = {n: pa.array([row[n] for row in rows], pa.list_(kind)) for n, kind in _COLUMNS.items()}
    with durable(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd")


@dataclass(frozen=True, eq=False)
class Lessons:
    """All lessons of a dataset as flat columns; ``lessons[i]`` is that of its crystal i.

    Args:
        table: the dataset's templates.
        retriever: over the table that the neighbours come from.
        columns: values and offsets by name.
    """

    table: TemplateTable
    retriever: Retriever
    columns: dict[str, tuple[np.ndarray, np.ndarray]]

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> Lesson:
        row = {name: values[offsets[index] : offsets[index + 1]] for name, (values, offsets) in self.columns.items()}
        aligned = len(row["aligned_at"])
        return Lesson(
            shortlist=self.retriever.rebuild(
                self.table.counts(index), row["sources"], row["roles"], row["kind"], row["distance"]
            ),
            rms=row["rms"].astype(np.float64),
            aligned_at=row["aligned_at"].astype(np.int64),
            aligned_lattice=row["aligned_lattice"].reshape(-1, 6).astype(np.float64),
            aligned_free=row["aligned_free"].reshape(aligned, -1, 3).astype(np.float64)
            if aligned
            else np.zeros((0, 0, 3)),
        )


def read_lessons(path: Path, table: TemplateTable, retriever: Retriever) -> Lessons:
    """Read the lessons of a dataset.

    Raises:
        UserError: not there, not readable, or of another version of the dataset.
    """
    if not path.exists():
        raise UserError("no lessons yet", where=str(path), next_step=f"run: unigen data neighbours {path.parent.name}")
    file = open_table(path, tuple(_COLUMNS), "readable lessons", f"run: unigen data neighbours {path.parent.name}")
    if len(file) != len(table):
        raise UserError("lessons of another dataset", where=str(path), got=len(file), wanted=f"{len(table)} rows")
    columns = {name: list_items(file, name, kind, str(path)) for name, kind in _COLUMNS.items()}
    return Lessons(table, retriever, columns)
