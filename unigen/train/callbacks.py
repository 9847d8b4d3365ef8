"""What a run does beside its steps, in the order in which it must be done."""

from __future__ import annotations

from pathlib import Path

import lightning
from lightning.pytorch.callbacks import Callback

from unigen.models.checkpoint import save_model
from unigen.models.training_set import TrainingSet
from unigen.train.averaging import AveragedWeights
from unigen.train.checkpoints import Checkpoints
from unigen.train.continuation import last_checkpoint
from unigen.train.match import MatchRate, choose_references
from unigen.train.module import TrainingModule
from unigen.train.progress import progress_bar
from unigen.train.settings import TrainConfig
from unigen.train.throughput import Throughput


class PublishModel(Callback):
    """Write ``model/`` (config and averaged weights) at every validation, to be tried while the run goes on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """During validation the module holds the averaged weights (this callback stands after the averaging)."""
        assert isinstance(pl_module, TrainingModule)
        if trainer.is_global_zero:
            save_model(pl_module.model, self.folder)


def build_callbacks(config: TrainConfig, out: Path, training_set: TrainingSet) -> list[Callback]:
    """All callbacks of a run: the averaging first, the checkpoint after all that changes state."""
    references = choose_references(training_set.references, config.match_structures, config.seed)
    return [
        AveragedWeights(config.optim.ema_decay),
        PublishModel(out / "model"),
        MatchRate(references, config.seed, training_set.generator),
        Throughput(config.log_every),
        progress_bar(),
        Checkpoints(last_checkpoint(out), config.checkpoint_minutes, config.validation_interval),
    ]
