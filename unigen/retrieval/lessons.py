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

from unigen.data.durable import durable
from unigen.errors import UserError
from unigen.retrieval.shortlist import Shortlist
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
    rows = [_row(lesson) for lesson in lessons]
    columns = {n: pa.array([row[n] for row in rows], pa.list_(kind)) for n, kind in _COLUMNS.items()}
    with durable(path) as partial:
        pq.write_table(pa.table(columns), partial, compression="zstd")


def _row(lesson: Lesson) -> dict[str, list]:
    listed = lesson.shortlist
    return {
        "sources": listed.sources.tolist(),
        "distance": listed.distance.tolist(),
        "roles": listed.roles.ravel().tolist(),
        "kind": listed.kind.tolist(),
        "rms": lesson.rms.tolist(),
        "aligned_at": lesson.aligned_at.tolist(),
        "aligned_lattice": lesson.aligned_lattice.ravel().tolist(),
        "aligned_free": lesson.aligned_free.ravel().tolist(),
    }
