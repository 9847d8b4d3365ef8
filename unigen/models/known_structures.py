"""The known structures that a trained model looks up: of the dataset that is asked for, or of its own table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from unigen.disk import sha256_of
from unigen.errors import UserError
from unigen.models.generator import OpenedModel
from unigen.retrieval.build_table import TABLE, table_path
from unigen.retrieval.mapped_table import open_retriever
from unigen.retrieval.shortlist import Retriever
from unigen.retrieval.table import MAX_ATOMS, MAX_ORBITS


def open_known(opened: OpenedModel) -> tuple[Retriever, str, frozenset[int]]:
    """A retriever, the checksum of its table, and the elements in it, those of what is too large to be followed too.

    Raises:
        UserError: no dataset is asked for, and there is no table beside the weights; nothing in it can be followed.
    """
    table: str | Path
    if opened.retrieve_from is not None:
        table = opened.retrieve_from
    else:
        assert opened.folder is not None, "a trained model has a folder"
        table = opened.folder / TABLE
        if not table.exists():
            raise UserError(
                "this model retrieves known structures: from which dataset?",
                where=str(opened.folder),
                next_step="give --retrieve-from, such as oqmd-icsd (with: unigen data templates oqmd-icsd)",
            )
    path, split = table_path(table)
    retriever = open_retriever(path, split)
    known = retriever.table
    if not known.followable.any():
        raise UserError(
            "no known structure is small enough to be followed",
            where=str(table),
            wanted=f"at most {MAX_ATOMS} atoms and {MAX_ORBITS} orbits",
        )
    if not known.followable.all():
        retriever = open_retriever(path, split, followable=True)
    return retriever, sha256_of(path), frozenset(np.unique(known.elements).tolist())
