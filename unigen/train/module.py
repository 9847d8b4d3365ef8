"""The model as Lightning trains it. Everything random in a step is a function of (seed, step, rank)."""

from __future__ import annotations

from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn

from unigen.batch import JointBatch, MoleculeBatch, PropertyBatch, TokenBatch, WyckoffBatch
from unigen.errors import UserError
from unigen.models.families import Model
from unigen.models.joint.network import JointModel
from unigen.models.predictor.network import PropertyNetwork
from unigen.models.smiles.network import MoleculeModel
from unigen.models.words.likelihood import log_likelihoods
from unigen.models.words.network import Autoregressive
from unigen.models.wyckoff.network import WyckoffModel
from unigen.train.continuation import retune
from unigen.train.optim import build_optimizer, schedule
from unigen.train.settings import TrainConfig

Batch = TokenBatch | WyckoffBatch | MoleculeBatch | PropertyBatch | JointBatch


class TrainingModule(lightning.LightningModule):
    """Losses, optimizer and validation of one run."""

    def __init__(self, config: TrainConfig, model: Model) -> None:
        super().__init__()
        self.config = config
        self.model = model
        if config.only != "all":
            part = getattr(model, {"reranker": "reranker", "properties": "adapter"}[config.only], None)
            if not isinstance(model, WyckoffModel) or part is None:
                raise UserError(f"only: this model has no part for {config.only}", got=config.only, wanted="all")
            model.requires_grad_(requires_grad=False)
            part.requires_grad_()

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Weighted sum of the channels' losses."""
        del batch_idx
        losses = self._losses(batch, self._seed_step())
        total = self._total(losses)
        self.log("loss", total.detach(), prog_bar=True)
        self.log_dict({f"loss_{name}": value.detach() for name, value in losses.items()})
        self.log("lr", self.lr_schedulers().get_last_lr()[0])  # type: ignore[union-attr]
        return total

    def _total(self, losses: dict[str, Tensor]) -> Tensor:
        optim = self.config.optim
        if self.config.only == "reranker":
            return losses["source"]
        weights = {"symbol": optim.symbol_weight, "source": optim.source_weight}
        return torch.stack([weights.get(name.rpartition("_")[2], 1.0) * loss for name, loss in losses.items()]).sum()

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
            losses = self._losses(batch, generator, repeats=1)
        return bool(torch.isfinite(torch.stack(list(losses.values()))).all())

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """What each kind of model is judged by: likelihoods, losses, or errors in the unit of each property."""
        generator = torch.Generator(self.device).manual_seed(batch_idx)
        losses = self._losses(batch, generator)
        match batch:
            case WyckoffBatch():
                self._log_wyckoff(batch, losses)
            case MoleculeBatch():
                self._log_molecules(batch, losses)
            case PropertyBatch():
                self._log_properties(batch, losses)
            case JointBatch():
                logged = {f"val_loss_{name}": loss for name, loss in losses.items()}
                self.log_dict(logged, batch_size=len(batch), sync_dist=True)
            case TokenBatch():
                self._log_words(batch, losses)

    def _losses(self, batch: Batch, generator: torch.Generator, repeats: int = 4) -> dict[str, Tensor]:
        match self.model, batch:
            case WyckoffModel(), WyckoffBatch():
                if self.config.only == "reranker":
                    return self.model.source_loss(batch, generator)
                return self.model.losses(batch, generator, repeats)
            case MoleculeModel(), MoleculeBatch():
                return self.model.losses(batch, generator, repeats)
            case Autoregressive(), TokenBatch():
                return self.model.losses(batch, generator, repeats)
            case JointModel(), JointBatch():
                return self.model.losses(batch, generator, repeats)
            case PropertyNetwork(), PropertyBatch():
                return self.model.losses(batch)
        raise AssertionError(f"{type(self.model).__name__} cannot read {type(batch).__name__}")

    def _log_wyckoff(self, batch: WyckoffBatch, losses: dict[str, Tensor]) -> None:
        """Losses as in training, and how often the likeliest choice of neighbour is right."""
        assert isinstance(self.model, WyckoffModel)
        structures: dict[str, Any] = {"batch_size": len(batch), "sync_dist": True}
        self.log_dict({f"val_loss_{name}": value for name, value in losses.items()}, **structures)
        likeliest = self.model.reranker(batch.neighbours)[:, 1:].argmax(1)
        right = ~torch.isnan(batch.neighbours.rms)
        self.log("val_nearest", right[:, 0].float().mean(), **structures)
        self.log("val_source", right.gather(1, likeliest[:, None]).float().mean(), prog_bar=True, **structures)

    def _log_molecules(self, batch: MoleculeBatch, losses: dict[str, Tensor]) -> None:
        """Losses as in training, without blur."""
        structures: dict[str, Any] = {"batch_size": len(batch), "sync_dist": True}
        self.log("val_nll_symbol", losses["symbol"], **structures)
        self.log("val_loss_site", losses["site"], prog_bar=True, **structures)

    def _log_properties(self, batch: PropertyBatch, losses: dict[str, Tensor]) -> None:
        """Mean absolute errors, each in the unit of its property, and their mean in standard deviations."""
        assert isinstance(self.model, PropertyNetwork)
        structures: dict[str, Any] = {"batch_size": len(batch), "sync_dist": True}
        self.log_dict({f"val_mae_{name}": value for name, value in self.model.errors(batch).items()}, **structures)
        self.log("val_loss", torch.stack(list(losses.values())).mean(), prog_bar=True, **structures)

    def _log_words(self, batch: TokenBatch, losses: dict[str, Tensor]) -> None:
        assert isinstance(self.model, Autoregressive)
        with torch.compiler.set_stance("force_eager"):  # forward-mode derivatives do not compile
            likelihood = log_likelihoods(self.model, batch, steps=12)
        structures: dict[str, Any] = {"batch_size": len(batch), "sync_dist": True}
        self.log("val_nll_symbol", losses["symbol"], **structures)
        self.log("val_nll_lattice", -likelihood.lattice.mean(), **structures)
        self.log("val_nll_site", -likelihood.sites.sum() / max(likelihood.n_sites, 1), **structures)
        self.log("val_loss_lattice", losses["lattice"], **structures)
        self.log("val_loss_site", losses["site"], prog_bar=True, **structures)

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
