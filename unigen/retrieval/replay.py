"""Known structures as a small dataset with its own table: what a model sees again, so that it does not forget them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from unigen.data.crystal_store import CrystalDataset
from unigen.disk import durable
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.table import TemplateTable, rewrite_table
from unigen.shapes import Int


def write_replay(table: TemplateTable, rows: Int[np.ndarray, "rows"], split: Sequence[str], store: Path) -> None:
    """Write some crystals of a table as a dataset, its table beside it.

    Args:
        table: known structures.
        rows: which of them, in this order.
        split: of each.
        store: the Parquet file to write, the last of the two.
    """
    chosen = replace(table.select(rows), split=np.array(split))
    store.parent.mkdir(parents=True, exist_ok=True)
    rewrite_table(store.with_name(TABLE), chosen)
    crystals = [chosen[row].to_crystal() for row in range(len(chosen))]
    with durable(store) as partial:
        pq.write_table(CrystalDataset.to_table(crystals, chosen.ids.tolist(), list(split)), partial)
