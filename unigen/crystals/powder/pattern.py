"""A measured or calculated powder pattern: intensities along 1/d, as a profile or as a list of peaks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unigen.crystals.powder.radiation import two_theta_of
from unigen.errors import UserError
from unigen.shapes import Float

FEWEST_POINTS = 20
"""Of a profile: what has fewer shows no peak."""


@dataclass(frozen=True, eq=False)
class PowderPattern:
    """A powder pattern; angles, Q and d are all kept as 1/d, on which cells of any wavelength's pattern compare.

    Attributes:
        inverse_d: 1/d = 2 sin(theta) / wavelength = Q / 2 pi, in 1/Angstrom, ascending.
        intensity: of each point of a profile, or integrated of each peak; any unit.
        wavelength: Angstrom.
        peaks: whether it is a list of peaks; else a profile with all that lies between the peaks.
        uncertainty: standard uncertainty of each intensity, where it is known.
        name: for messages and pages.
        remarks: what was assumed, or left out, in reading it: a sentence each.

    Raises:
        UserError: lists that disagree, no order, no number, too few points, nothing but nothing.
    """

    inverse_d: Float[np.ndarray, "points"]
    intensity: Float[np.ndarray, "points"]
    wavelength: float
    peaks: bool = False
    uncertainty: Float[np.ndarray, "points"] | None = None
    name: str = "powder pattern"
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        arrays = {"inverse_d": self.inverse_d, "intensity": self.intensity}
        if self.uncertainty is not None:
            arrays["uncertainty"] = self.uncertainty
        for name, values in arrays.items():
            array = np.ascontiguousarray(values, dtype=np.float64)
            if array.shape != np.shape(self.inverse_d) or array.ndim != 1:
                raise UserError("lists of different lengths", where=self.name, got=f"{name} {array.shape}")
            if not np.isfinite(array).all():
                raise UserError(f"{name} is not finite", where=self.name, got=array[~np.isfinite(array)][0])
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        fewest = 1 if self.peaks else FEWEST_POINTS
        if len(self.inverse_d) < fewest:
            noun = "peaks" if self.peaks else "points of a profile"
            raise UserError(
                f"too few {noun}", where=self.name, got=len(self.inverse_d), wanted=f"at least {fewest} {noun}"
            )
        if self.inverse_d[0] <= 0 or (np.diff(self.inverse_d) <= 0).any():
            raise UserError("places that do not ascend from above 0", where=self.name)
        if self.intensity.max() <= 0 or (not self.peaks and self.intensity.max() <= self.intensity.min()):
            raise UserError("no peak: no intensity is larger than the others", where=self.name)

    def __len__(self) -> int:
        return len(self.inverse_d)

    @property
    def two_theta(self) -> Float[np.ndarray, "points"]:
        """Degrees, at its wavelength."""
        return two_theta_of(self.inverse_d, self.wavelength)

    def to_xy(self, path: str | Path | None = None) -> str:
        """Two columns of text, 2theta in degrees and the intensity, under headings that `read_pattern` reads back."""
        heading = f"# wavelength {self.wavelength!r} A\n# 2theta intensity\n"
        rows = zip(self.two_theta.tolist(), self.intensity.tolist(), strict=True)
        text = heading + "".join(f"{angle!r} {value!r}\n" for angle, value in rows)
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text
