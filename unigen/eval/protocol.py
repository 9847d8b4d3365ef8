"""The protocols by name and version: every setting that moves a number. Their cards are in ``eval/protocols/``."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from unigen.crystals.matching import MatchSettings
from unigen.errors import UserError
from unigen.eval.statistics import Metric, means_with_intervals


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What every protocol says, of crystals or of molecules.

    Attributes:
        name: as on its card.
        version: raised whenever a number could change.
        bootstrap: resamples behind a confidence interval.
        confidence: the share of resamples inside an interval.
    """

    name: str
    version: str = "1.0"
    bootstrap: int = 1000
    confidence: float = 0.95

    def intervals(self, columns: dict[str, np.ndarray], seed: int) -> dict[str, Metric]:
        """Means and intervals of columns of one value an item, NaN where it is no item."""
        return means_with_intervals(columns, resamples=self.bootstrap, confidence=self.confidence, seed=seed)


@dataclass(frozen=True, kw_only=True)
class Protocol(Rules):
    """How a set of crystals is scored.

    "csp" (structure prediction, against one reference crystal each) or "denovo-cdvae" (in short "denovo").

    Attributes:
        matching: what counts as the same crystal, for match rate, uniqueness and novelty alike.
        min_distance: smallest distance of a structurally valid crystal, Angstrom.
        min_volume: smallest cell volume of a structurally valid crystal, cubic Angstrom.
        symprec: tolerance of the space group in the per-structure table, Angstrom.
        max_oxidation_combinations: combinations of oxidation states tried for one formula, at most.
        max_candidates: partners of one formula tried for one crystal, at most, nearest first (uniqueness, novelty).
        max_metre_candidates: samples made for other references that are tried for one reference in METRe, at most.
        coverage_structure: cut-off of the structure fingerprint for COV (MP-20's in CDVAE).
        coverage_composition: cut-off of the composition fingerprint for COV (MP-20's in CDVAE).
    """

    matching: MatchSettings = field(default_factory=MatchSettings)
    min_distance: float = 0.5
    min_volume: float = 0.1
    symprec: float = 0.1
    max_oxidation_combinations: int = 200_000
    max_candidates: int = 200
    max_metre_candidates: int = 20
    coverage_structure: float = 0.4
    coverage_composition: float = 10.0


CSP = Protocol(name="csp")
DENOVO = Protocol(name="denovo-cdvae")


def find_protocol(protocol: str | Protocol) -> Protocol:
    """The protocol of this name; raises UserError for a name that is none."""
    if isinstance(protocol, Protocol):
        return protocol
    for known in (CSP, DENOVO):
        if protocol in (known.name, known.name.partition("-")[0]):
            return known
    raise UserError(f"no protocol {protocol!r}", wanted="csp or denovo")
