"""One training run: from a config to a model folder; started again with the same folder it goes on."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch.utils.data import DataLoader

from unigen.config import write_yaml
from unigen.disk import alone_in
from unigen.errors import UserError
from unigen.models.checkpoint import begin_with, load_model, model_folder, save_model
from unigen.models.families import build_model, calibration_of, open_training_set
from unigen.models.interface import Network
from unigen.models.training_set import TrainingSet
from unigen.train.batches import StepBatches
from unigen.train.callbacks import build_callbacks, has_terminal
from unigen.train.checkpoints import DurableFiles, Stopped
from unigen.train.continuation import check_same_run, has_ended_early, last_checkpoint, publish, read_checkpoint
from unigen.train.module import TrainingModule
from unigen.train.settings import TrainConfig


def train(config: TrainConfig) -> Path:
    """Train, or go on from the last checkpoint of ``config.out``; returns the model folder.

    Raises:
        UserError: a dataset that is not built, a folder that holds another run, a loss that is not finite (the last
            good checkpoint stays), a device that is not there.
        SystemExit: stopped by a signal, after saving; or not the first of several processes.
    """
    out = Path(config.out)
    # the others of a distributed run are started by the first, or with it
    with alone_in(out) if _is_first_process() else nullcontext():
        return _train(config, out)


def _train(config: TrainConfig, out: Path) -> Path:
    check_same_run(config, out)
    checkpoint = last_checkpoint(out)
    held = read_checkpoint(checkpoint) if checkpoint.exists() else {}
    first_step = int(held.get("global_step", 0))
    if first_step < config.max_steps and not has_ended_early(held, config.patience):
        _fit(config, out, checkpoint if first_step else None, first_step)
    else:
        early = has_ended_early(held, config.patience)
        advice = "it ended early, having learned no more" if early else "more max_steps go on"
        print(f"finished before: step {first_step} of {config.max_steps} in {out}; {advice}")  # noqa: T201
    if not _is_first_process():
        sys.exit(0)  # the first process speaks for all
    if not config.patience:  # else the best are there
        publish(build_model(config.model), read_checkpoint(checkpoint), out / "model")
    if calibrate := calibration_of(config.model):
        model = load_model(out / "model")
        calibrate(model, config.data)
        save_model(model, out / "model")
    return out / "model"


def _fit(config: TrainConfig, out: Path, checkpoint: Path | None, first_step: int) -> None:
    """From a checkpoint, or the beginning, to the last step."""
    if config.threads:
        torch.set_num_threads(config.threads)
    training_set = open_training_set(config.data, config.model)
    if config.match_structures and training_set.generator is None:
        raise UserError("match_structures: molecules have no match rate", got=config.match_structures, wanted=0)
    lightning.seed_everything(config.seed, verbose=False)
    module = TrainingModule(config, _new_model(config, training_set))
    trainer = _trainer(config, out, training_set)
    if trainer.is_global_zero:
        sizes = f"{len(training_set.train)} structures to train on, {len(training_set.val)} to validate"
        million = sum(parameter.numel() for parameter in module.model.parameters()) / 1e6
        print(  # noqa: T201 - the run's first line
            f"{million:.2f} M parameters, {sizes}, step {first_step} of {config.max_steps}, writing {config.out}",
            flush=True,
        )
        write_yaml(out / "config.yaml", config)
    val: Any = training_set.val_batches(config.data.batch_size, config.validate_batches, config.seed)
    batches = StepBatches(
        training_set.train,
        training_set.encode,
        training_set.collate,
        batch_size=config.data.batch_size,
        bucket=config.data.bucket,
        seed=config.seed,
        first_step=first_step,
        rank=trainer.global_rank,
        world=trainer.world_size,
    )
    # batch_size None: both come as whole batches
    loaders = DataLoader(batches, batch_size=None), DataLoader(val, batch_size=None)
    try:
        trainer.fit(module, *loaders, ckpt_path=checkpoint, weights_only=True)
    except OSError as error:
        raise UserError(
            "training cannot write",
            where=error.filename or config.out,
            got=os.strerror(error.errno) if error.errno else error,
            next_step="free some space, then the same command: it goes on from the last good checkpoint",
        ) from error
    except (FloatingPointError, Stopped) as error:
        if not _is_first_process():
            sys.exit(0)
        if isinstance(error, Stopped):
            print(f"{error} at step {trainer.global_step}: saved, the same command goes on", file=sys.stderr)  # noqa: T201
            sys.exit(128 + error.signal)  # as shells report a process that a signal ended
        raise UserError(
            str(error),
            where=config.out,
            next_step="try a smaller optim.lr, then the same command: it goes on from the last good checkpoint",
        ) from error


def _is_first_process() -> bool:
    # the rank in a machine, as Lightning knows it before the processes know each other, and the machine's
    return getattr(rank_zero_only, "rank", 0) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0


def _trainer(config: TrainConfig, out: Path, training_set: TrainingSet) -> lightning.Trainer:
    # CSV always; TensorBoard where it is installed. A new version folder each time the run is started.
    loggers: list[Any] = [CSVLogger(out, name="logs", flush_logs_every_n_steps=1)]
    try:
        loggers.append(TensorBoardLogger(out, name="tensorboard"))
    except ModuleNotFoundError:
        logging.getLogger(__name__).info("no TensorBoard log: install unigen-matter[tensorboard] for one")
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    # Items are encoded in the process that trains; our epochs have no end; Lightning uses a deprecated LeafSpec.
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*IterableDataset.*__len__.*")
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    try:
        return lightning.Trainer(
            accelerator=config.accelerator,
            devices=config.devices,
            num_nodes=config.nodes,
            strategy="ddp" if config.devices * config.nodes > 1 else "auto",
            precision={"fp32": "32-true", "bf16": "bf16-mixed"}[config.precision],  # type: ignore[arg-type]
            max_steps=config.max_steps,
            gradient_clip_val=config.optim.clip,
            val_check_interval=config.validation_interval,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            log_every_n_steps=config.log_every,
            callbacks=build_callbacks(config, out, training_set),
            plugins=[DurableFiles()],
            enable_checkpointing=False,
            logger=loggers,
            default_root_dir=out,
            enable_model_summary=False,
            enable_progress_bar=has_terminal(),  # else Lightning adds a bar of its own to our lines
            use_distributed_sampler=False,
        )
    except lightning.fabric.utilities.exceptions.MisconfigurationException as error:
        raise UserError("the device asked for is not there", got=str(error)[:160]) from error


def _new_model(config: TrainConfig, training_set: TrainingSet) -> Network:
    """A fresh model that knows what it must know of its data."""
    model = build_model(config.model)
    training_set.prepare(model)
    if config.start_from:
        begin_with(model, model_folder(config.start_from))
    if config.compile:
        for part in model.large_parts():
            part.compile(dynamic=True)
    return model
