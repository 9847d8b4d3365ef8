"""What a training run is: one complete YAML fills these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unigen.models.families import ModelConfig


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What to train on.

    Attributes:
        train: dataset (``name``, ``name:split`` or a Parquet file) of reduced crystals.
        val: dataset of compositions not in ``train``.
        molecules: dataset of molecules that a joint model is trained on beside the crystals of ``train``.
        val_molecules: those it is validated with.
        retrieve_from: where a wyckoff model's neighbours come from, by default ``train``.
        exchange: share of crystals that a wyckoff model is shown with one element exchanged for a similar one.
        values_of_half: only molecules of this half of the dataset show their properties; those of the other half are
            left to the predictor that judges what was asked for, which is trained on molecules of this half alone.
        rotate: show molecules turned at random each time (only axes that do not turn with them notice).
        shuffle_atoms: place a molecule's heavy atoms, then its hydrogens, in any order in place of the SMILES' own.
        batch_size: structures a step and device.
        bucket: batches sorted by length together; 1 shuffles fully, larger pads less.
    """

    train: str
    val: str
    molecules: str | None = None
    val_molecules: str | None = None
    retrieve_from: str | None = None
    exchange: float = 0.0
    values_of_half: int | None = None
    rotate: bool = True
    shuffle_atoms: bool = False
    batch_size: int = 64
    bucket: int = 16


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


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """A training run. Started again in the same folder it goes on; then all but model, data and seed may be changed.

    Attributes:
        out: run folder: logs, checkpoints, and at the end ``model/`` (the published form).
        max_steps: optimizer steps.
        only: train the whole model, or of a wyckoff model the reranker alone (``models pack --reranker-from`` joins),
            or what hears properties alone.
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
        match_structures: validation structures generated for the match rate; 0 leaves it out.
        log_every: steps between log lines.
    """

    model: ModelConfig
    data: DataConfig
    optim: OptimConfig = OptimConfig()
    out: str
    max_steps: int
    only: Literal["all", "reranker", "properties"] = "all"
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
    match_structures: int = 64
    log_every: int = 20

    @property
    def validation_interval(self) -> int:
        """Steps between validations: even a short run has one, at its end."""
        return min(self.validate_every, self.max_steps)
