"""A property that samples were asked to have, beside the property they have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unigen.shapes import Bool, Float


@dataclass(frozen=True, eq=False)
class RequestedProperty:
    """One property of all samples that were asked to have it.

    Attributes:
        name: of the property, as in requests.
        unit: of both values; empty where it is unknown.
        requested: what was asked for.
        actual: what the samples have, computed or predicted; NaN where there is none.
    """

    name: str
    unit: str
    requested: Float[np.ndarray, "samples"]
    actual: Float[np.ndarray, "samples"]

    @property
    def has_value(self) -> Bool[np.ndarray, "samples"]:
        """Which samples have the property at all."""
        return np.isfinite(self.actual)

    @property
    def errors(self) -> Float[np.ndarray, "having"]:
        """How far those that have a value are from what was asked."""
        return np.abs(self.actual - self.requested)[self.has_value]
