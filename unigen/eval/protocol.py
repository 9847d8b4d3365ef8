"""What every protocol says; see `unigen.eval.crystals.protocol` and `unigen.eval.molecules.protocol`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

import numpy as np

from unigen.eval.statistics import Metric, means_with_intervals


@dataclass(frozen=True, kw_only=True)
class Rules:
    """A protocol by name and version: every setting that moves a number, of crystals or of molecules.

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

    def own_settings(self) -> dict[str, object]:
        """What this protocol says beyond every protocol's: for reports of several, which share a bootstrap."""
        shared = {each.name for each in fields(Rules)}
        return {name: value for name, value in asdict(self).items() if name not in shared}
