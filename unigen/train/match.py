"""The match rate of a few validation crystals during training: does the model already draw the right structures?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import ModuleType

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import CrystalDataset
from unigen.elements import format_formula
from unigen.models.generator import Generator, Job
from unigen.models.interface import Network
from unigen.request import CrystalRequest
from unigen.train.module import TrainingModule

_SITE_PAIRS = 20_000_000
"""A second or so of matching a pair; the judge of a finished model allows a hundred times more."""


class MatchRate(Callback):
    """Log ``val_match_rate``: the share of references whose one sample, drawn for their cell's composition, matches.

    Stands after the averaging: during validation the module holds the averaged weights. Where pymatgen is not
    installed, nothing is logged.

    Args:
        references: validation crystals.
        seed: of the samples: the same noise at every validation.
        generator: makes a generator of the model as it is now; None where there are no references.
    """

    def __init__(
        self, references: Sequence[Crystal], seed: int, generator: Callable[[Network], Generator] | None
    ) -> None:
        self.references = references
        self.seed = seed
        self.generator = generator
        self.matching = _optional_matching() if references else None

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Generate and match, on one process."""
        assert isinstance(pl_module, TrainingModule)
        if self.matching is not None and self.generator is not None and trainer.is_global_zero:
            rate = match_rate(self.generator(pl_module.model), self.references, self.seed, self.matching)
            pl_module.log("val_match_rate", rate, prog_bar=True, rank_zero_only=True)


def choose_references(dataset: CrystalDataset | tuple[()], count: int, seed: int) -> list[Crystal]:
    """The same few crystals at every validation of a run, and of its continuation."""
    chosen = np.random.default_rng([seed, 1]).permutation(len(dataset))[:count]
    return [dataset[int(index)] for index in chosen]


def match_rate(generator: Generator, references: Sequence[Crystal], seed: int, matching: ModuleType) -> float:
    """Share of references that one sample each matches (StructureMatcher, 0.3 / 0.5 / 10: as in the CSP protocols)."""
    jobs = []
    for index, reference in enumerate(references):
        numbers, counts = np.unique(reference.numbers, return_counts=True)
        formula = format_formula({int(number): int(count) for number, count in zip(numbers, counts, strict=True)})
        jobs.append(Job(CrystalRequest(formula=formula, n_atoms=len(reference.numbers)), index, 0, seed))
    with torch.compiler.set_stance("force_eager"):  # a few odd shapes are not worth compiling
        candidates = generator.draw(jobs)
    settings = matching.MatchSettings(max_site_pairs=_SITE_PAIRS)
    matched = [
        matching.rms_to_reference([candidate.structure], reference, settings)[0].rms is not None
        for candidate, reference in zip(candidates, references, strict=True)
        if candidate.structure is not None
    ]
    return sum(matched) / len(references)


def _optional_matching() -> ModuleType | None:
    """``unigen.crystals.matching`` where its library is installed: training itself must run without."""
    try:
        from unigen.crystals import matching
    except ModuleNotFoundError as error:
        logging.getLogger(__name__).warning("no val_match_rate in the logs: %s is not installed", error.name)
        return None
    return matching
