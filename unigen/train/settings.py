"""What a training run is: one complete YAML fills these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unigen.config import check_ranges
from unigen.models.families import ModelConfig
from unigen.models.interface import ALL
from unigen.models.training_set import DataConfig

_MOST_STEPS = 10**10
"""A thousand years of steps of three seconds; counters of torch hold more."""


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW and its schedule.

    Attributes:
        lr: peak learning rate.
        schedule: after the warm-up, a cosine to zero, or constant with a linear decay at the end (wsd).
        warmup_steps: linear from zero.
        decay_fraction: share of the steps in the final decay (wsd).
        weight_decay: on matrices; not on norms, biases, embeddings.
        beta1: of AdamW.
        beta2: of AdamW.
        clip: largest gradient norm.
        ema_decay: of the averaged weights, which are the ones kept.
        symbol_weight: weight of the symbols' loss beside lattice and sites.
        source_weight: weight of the loss of choosing a neighbour (wyckoff).

    Raises:
        UserError: a value out of its range.
    """

    lr: float = 1e-3
    schedule: Literal["cosine", "wsd"] = "cosine"
    warmup_steps: int = 200
    decay_fraction: float = 0.2
    weight_decay: float = 0.02
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    ema_decay: float = 0.999
    symbol_weight: float = 0.2
    source_weight: float = 1.0

    def __post_init__(self) -> None:
        below_one = 1 - 1e-12  # at 1 an average never moves
        check_ranges(
            self,
            lr=(1e-12, 100),  # 0 learns nothing, and the schedule divides by it
            warmup_steps=(0, _MOST_STEPS),
            decay_fraction=(0, 1),
            weight_decay=(0, 100),
            beta1=(0, below_one),
            beta2=(0, below_one),
            clip=(0, float("inf")),  # 0 and infinity: none
            ema_decay=(0, below_one),
            symbol_weight=(0, 1e6),
            source_weight=(0, 1e6),
        )

    def weight(self, loss: str) -> float:
        """Of a loss, by the last word of its name, so that both kinds of a joint model are weighted alike."""
        return {"symbol": self.symbol_weight, "source": self.source_weight}.get(loss.rpartition("_")[2], 1.0)


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run. Started again in the same folder it goes on; then all but model, data and seed may be changed.

    Attributes:
        out: run folder: logs, checkpoints, and at the end ``model/`` (the published form).
        max_steps: optimizer steps.
        only: train the whole model, or one of its parts alone; of a wyckoff model ``reranker`` (``models pack
            --reranker-from`` joins) or ``properties``, what hears those that are asked for.
        start_from: model whose weights a new run begins with: a bundled name or a folder; parts it lacks begin fresh.
        seed: of everything drawn.
        precision: bf16 keeps the heads in fp32.
        compile: ``torch.compile`` the backbone.
        accelerator: ``cpu``, ``gpu`` or ``auto``.
        devices: per node; more than one trains with DDP.
        nodes: of a cluster job.
        threads: CPU threads of torch; 0 leaves torch's choice.
        checkpoint_minutes: time between checkpoints.
        validate_every: steps between validations.
        validate_batches: batches a validation looks at.
        patience: validations without a smaller loss after which the run ends, and keeps the weights of the smallest; 0:
            it goes to its last step, and keeps those.
        match_structures: validation structures generated for the match rate; 0 leaves it out.
        log_every: steps between log lines.

    Raises:
        UserError: a value out of its range.
    """

    model: ModelConfig
    data: DataConfig
    optim: OptimConfig = OptimConfig()
    out: str
    max_steps: int
    only: str = ALL
    start_from: str | None = None
    seed: int = 0
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 0
    checkpoint_minutes: float = 5.0
    validate_every: int = 1000
    validate_batches: int = 8
    patience: int = 0
    match_structures: int = 64
    log_every: int = 20

    def __post_init__(self) -> None:
        check_ranges(
            self,
            max_steps=(1, _MOST_STEPS),
            seed=(0, 2**32 - 1),  # what numpy takes
            devices=(1, 1_000),
            nodes=(1, 100_000),
            threads=(0, 4_096),
            checkpoint_minutes=(0, 10**6),
            validate_every=(1, _MOST_STEPS),
            validate_batches=(1, 10**6),
            patience=(0, 10**6),
            match_structures=(0, 10**6),
            log_every=(1, _MOST_STEPS),
        )

    @property
    def validation_interval(self) -> int:
        """Steps between validations: even a short run has one, at its end."""
        return min(self.validate_every, self.max_steps)
