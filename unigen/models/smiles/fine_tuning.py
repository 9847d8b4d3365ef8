"""What a model of molecules needs to be trained further: molecules that it draws itself stand for those it has learned.

A model of molecules has no table of what it was trained on. What it draws is the nearest there is: a replay by the
model itself (Shin et al. 2017, Continual learning with deep generative replay).
"""

from __future__ import annotations

from unigen.disk import write_text
from unigen.errors import UserError
from unigen.models.fine_tuning import FineTuning, Material
from unigen.models.generator import Job
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.training_set import DataConfig
from unigen.request import MoleculeRequest

_BATCH = 64  # molecules drawn at once


def prepare_smiles(task: FineTuning) -> Material:
    """Draw what is replayed, and build it; what is there already is kept.

    Raises:
        UserError: the model draws nothing, or the folder cannot be written.
    """
    replay = task.folder / "replay" / "molecules.parquet"
    shown, held_back = task.replay_counts
    if not replay.exists():
        # here: training itself runs where there is no chemistry
        from unigen.data.build import BuildOptions, build_dataset

        generator = MoleculeGenerator(task.network, "replay")
        jobs = [Job(MoleculeRequest(), 0, index, task.seed) for index in range(shown + held_back)]
        parts = [generator.draw(jobs[start : start + _BATCH]) for start in range(0, len(jobs), _BATCH)]
        made = [drawn.structure.to_sdf() for part in parts for drawn in part if drawn.structure is not None]
        if len(made) < 2:
            raise UserError("the model draws hardly any molecule", where=str(task.model), got=f"{len(made)}")
        held_back = min(held_back, len(made) // 2 if shown else len(made))
        files = [task.folder / f"replay-{split}.sdf" for split in ("val", "train")]  # their names are their splits
        for file, entries in zip(files, (made[:held_back], made[held_back:]), strict=True):
            write_text(file, "".join(entries))
        sources = tuple(str(file) for file in files if file.stat().st_size)
        build_dataset("replay", sources, BuildOptions(), workers=task.workers, folder=replay.parent)
    return Material(
        data=DataConfig(
            train=f"{task.store}:train",
            val=f"{task.store}:val",
            replay=f"{replay}:train" if shown else None,
            some_properties=True,
        ),
        remembered=f"{replay}:val",
    )
