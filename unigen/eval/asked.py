"""A property that samples were asked to have, beside the property they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.shapes import Bool, Float


@dataclass(frozen=True, eq=False)
class AskedAndFound:
    """One property of all samples that were asked to have it.

    Attributes:
        name: of the property, as in requests.
        unit: of both values; empty where it is unknown.
        asked: what was asked for.
        found: what the samples have, NaN where there is none.
    """

    name: str
    unit: str
    asked: Float[np.ndarray, "samples"]
    found: Float[np.ndarray, "samples"]

    @property
    def known(self) -> Bool[np.ndarray, "samples"]:
        """Which samples have a value."""
        return np.isfinite(self.found)

    @property
    def errors(self) -> Float[np.ndarray, "known"]:
        """How far those that have a value are from what was asked."""
        return np.abs(self.found - self.asked)[self.known]
