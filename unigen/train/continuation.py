"""Going on with a run: is this folder the same run, how far is it, and which settings are taken from the new config."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import torch

from unigen.config import flat, load, to_plain
from unigen.disk import empty_folder, may_overwrite, writing
from unigen.errors import UserError
from unigen.models.checkpoint import save_model
from unigen.models.interface import Network
from unigen.train.optim import schedule
from unigen.train.settings import OptimConfig, TrainConfig

FIXED = ("model", "data", "seed")
"""What makes a run this run. All else (steps, learning rate, devices, how often it logs) may change when it goes on."""


def last_checkpoint(out: Path) -> Path:
    """Where a run keeps its state."""
    return out / "checkpoints" / "last.ckpt"


def check_same_run(config: TrainConfig, out: Path) -> None:
    """Raise UserError when ``out`` holds a run with another model, other data or another seed.

    Where the user has said so (`unigen.disk.overwriting`) it is emptied instead.
    """
    written = out / "config.yaml"
    if not written.exists() or not (last_checkpoint(out).exists() or (out / "model").exists()):
        return
    # An older run lacks settings that came later: they are as by default.
    earlier, new = flat(to_plain(load(TrainConfig, written))), flat(to_plain(config))
    for key in sorted(earlier | new):
        if key.split(".")[0] in FIXED and earlier.get(key) != new.get(key):
            if may_overwrite():
                with writing(out):
                    empty_folder(out)
                return
            raise UserError(
                f"the folder holds another run: its {key} is {earlier.get(key)}",
                where=str(out),
                got=new.get(key),
                next_step="choose another folder with out=..., or --overwrite",
            )


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The last checkpoint of a run; nothing in it can run code.

    Raises:
        UserError: the file is damaged.
    """
    advice = {"where": str(path), "next_step": "remove it to start the run again"}
    if not zipfile.is_zipfile(path):
        raise UserError("not a readable checkpoint", **advice)
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, OSError, KeyError) as error:
        raise UserError("not a readable checkpoint", got=str(error)[:160], **advice) from error


def has_ended_early(checkpoint: dict[str, Any], patience: int) -> bool:
    """Whether a run has waited so many validations for a smaller loss."""
    waited = checkpoint.get("callbacks", {}).get("BestModel", {}).get("waited", 0)
    return bool(patience) and waited >= patience


def publish(model: Network, checkpoint: dict[str, Any], folder: Path) -> None:
    """Write the averaged weights of a checkpoint as a model folder."""
    prefix = "model."
    weights = {key.removeprefix(prefix): value for key, value in checkpoint["state_dict"].items()}
    model.load_state_dict(weights)
    save_model(model, folder)


def retune(checkpoint: dict[str, Any], optim: OptimConfig, max_steps: int) -> None:
    """Put a learning rate, schedule, weight decay and betas into a checkpoint that was made with others."""
    scheduler = checkpoint["lr_schedulers"][0]
    lr = optim.lr * schedule(optim, max_steps)(scheduler["last_epoch"])
    groups = checkpoint["optimizer_states"][0]["param_groups"]
    for group in groups:
        group.update(lr=lr, initial_lr=optim.lr, betas=(optim.beta1, optim.beta2))
    # the first group is the one that is decayed: see ``build_optimizer``
    groups[0]["weight_decay"] = optim.weight_decay
    scheduler.update(base_lrs=[optim.lr] * len(groups), _last_lr=[lr] * len(groups))
