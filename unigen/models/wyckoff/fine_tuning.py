"""What a wyckoff model needs to be trained further: one table of relatives, the lessons they give, a replay of its own.

The table of the model and the user's crystals of split "train" become one: those are followed from then on. A part of
the model's own table is shown again, with lessons from the same table.
"""

from __future__ import annotations

import numpy as np

from unigen.models.fine_tuning import FineTuning, Material
from unigen.models.training_set import DataConfig
from unigen.retrieval.build_table import TABLE, build_table, open_table
from unigen.retrieval.lessons import LESSONS
from unigen.retrieval.replay import write_replay
from unigen.retrieval.table import TemplateTable, read_table, rewrite_table
from unigen.retrieval.verdicts import judge_neighbours


def prepare_wyckoff(task: FineTuning) -> Material:
    """Write tables, replay and lessons; files that are there already are kept.

    Raises:
        UserError: the model has no table, or the folder cannot be written.
    """
    known = read_table(task.model / TABLE)
    if not (task.store.with_name(TABLE)).exists():
        build_table(str(task.store), workers=task.workers, progress=task.progress)
    relatives = task.folder / "relatives" / TABLE
    if not relatives.exists():
        relatives.parent.mkdir(parents=True, exist_ok=True)
        rewrite_table(relatives, known.joined(open_table(f"{task.store}:train")))
    replay = task.folder / "replay" / "crystals.parquet"
    shown, held_back = task.replay_counts
    if not replay.exists():
        rows = _replayed(known, task, shown + held_back)
        held_back = min(held_back, len(rows) // 2 if shown else len(rows))  # a small table is shared
        split = ["val"] * held_back + ["train"] * (len(rows) - held_back)
        write_replay(known, rows, split, replay)
    for store in (task.store, replay):
        if not store.with_name(LESSONS).exists():
            judge_neighbours(str(store), str(relatives), workers=task.workers, progress=task.progress)
    return Material(
        data=DataConfig(
            train=f"{task.store}:train",
            val=f"{task.store}:val",
            retrieve_from=str(relatives),
            replay=f"{replay}:train" if shown else None,
            some_properties=True,
        ),
        remembered=f"{replay}:val",
        table=relatives,
        known=len(known),
    )


def _replayed(known: TemplateTable, task: FineTuning, count: int) -> np.ndarray:
    """Rows of the table that the model can be trained on, drawn by the seed."""
    config = task.network.config
    fits = (known.num_atoms <= config.max_atoms) & (np.diff(known.offsets) <= config.max_orbits)
    return np.random.default_rng([task.seed, 2]).permutation(np.flatnonzero(fits))[:count]
