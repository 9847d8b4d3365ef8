"""The model as Lightning trains it. Everything random in a step is a function of (seed, step, rank)."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from unigen.models.interface import ALL, Batch, Network
from unigen.train.continuation import retune
from unigen.train.optim import build_optimizer, schedule
from unigen.train.settings import TrainConfig

VAL_LOSS = "val_loss"
"""The weighted sum of the validated losses, where a run may end early; theirs are ``val_loss_symbol`` and so on."""


class TrainingModule(lightning.LightningModule):
    """Losses, optimizer and validation of one run."""

    def __init__(self, config: TrainConfig, model: Network) -> None:
        super().__init__()
        self.config = config
        self.model = model
        if config.only != ALL:
            part = model.trained_alone(config.only)
            model.requires_grad_(requires_grad=False)
            part.requires_grad_()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted sum of the channels' losses."""
        del batch_idx
        losses = self.model.losses(batch, self._seed_step(), only=self.config.only)
        total = self.total(losses)
        self.log("loss", total.detach(), prog_bar=True)
        self.log_dict({f"loss_{name}": value.detach() for name, value in losses.items()})
        self.log("lr", self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]
        return total

    def total(self, losses: dict[str, Tensor]) -> Tensor:
        """Their weighted sum; weights are between losses: a single one has none."""
        weighted = [self.config.optim.weight(name) * loss for name, loss in losses.items()]
        return torch.stack(weighted).sum() if len(losses) > 1 else next(iter(losses.values()))

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's norm; one that is not finite raises ``FloatingPointError``, on all processes alike."""
        del optimizer, gradient_clip_algorithm
        assert gradient_clip_val is not None
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), gradient_clip_val)
        self.log("gradient_norm", norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"step {self.global_step}: the loss or its gradient is not finite")

    @torch.no_grad()
    def is_sound(self, batch: Batch) -> bool:
        """Whether the weights as they are now give a finite loss."""
        generator = torch.Generator(self.device).manual_seed(0)
        with torch.compiler.set_stance("force_eager"):  # not worth a second compilation
            losses = self.model.losses(batch, generator, repeats=1, only=self.config.only)
        return bool(torch.isfinite(torch.stack(list(losses.values()))).all())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """What the model is judged by, the same random numbers for a batch at every validation."""
        generator = torch.Generator(self.device).manual_seed(batch_idx)
        values = self.model.validated(batch, generator, self.config.only)
        if self.config.patience:
            values |= {VAL_LOSS: self.total({n: value for n, value in values.items() if n.startswith(f"{VAL_LOSS}_")})}
        for name, value in values.items():
            is_headline = name == self.model.headline
            self.log(name, value, prog_bar=is_headline, batch_size=len(batch), sync_dist=True)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A run that goes on takes its learning rate and schedule from the config it is started with."""
        retune(checkpoint, self.config.optim, self.config.max_steps)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """See ``unigen.train.optim``."""
        optimizer = build_optimizer(self.model, self.config.optim)
        factor = schedule(self.config.optim, self.config.max_steps)
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """Token batches move themselves."""
        del dataloader_idx
        return batch.to(device)

    def _seed_step(self) -> torch.Generator:
        """Seed dropout, and a generator for the noise, from (seed, step, rank): a resumed run draws the same."""
        number = hash((self.config.seed, self.global_step, self.global_rank)) % 2**63
        torch.manual_seed(number)
        return torch.Generator(self.device).manual_seed(number + 1)
