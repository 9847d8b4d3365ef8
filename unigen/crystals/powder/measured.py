"""From the columns of a file to a pattern: the axis, the wavelength, the order, and what was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unigen.crystals.powder.axis import Axis, inverse_d
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import DEFAULT, LONGEST, SHORTEST, WAVELENGTHS
from unigen.errors import UserError
from unigen.shapes import Float


@dataclass(frozen=True, eq=False)
class Measured:
    """What a file says.

    Attributes:
        places: along the axis, in the file's order.
        intensity: of each.
        uncertainty: of each intensity, where the file has it.
        axis: what the places are; None where the file does not say.
        wavelength: Angstrom; None where the file does not say.
        peaks: whether it is a list of peaks; None where the file does not say.
        remarks: what was left out: a sentence each.
    """

    places: Float[np.ndarray, "points"]
    intensity: Float[np.ndarray, "points"]
    uncertainty: Float[np.ndarray, "points"] | None = None
    axis: Axis | None = None
    wavelength: float | None = None
    peaks: bool | None = None
    remarks: tuple[str, ...] = ()


def to_pattern(
    measured: Measured,
    where: str,
    wavelength: float | None,
    axis: Axis | None,
    form: Literal["profile", "peaks"] | None,
) -> PowderPattern:
    """The pattern; what is given comes before what the file says, and that before what is usual.

    Raises:
        UserError: an axis that cannot be told, values that it cannot have, no peak.
    """
    remarks = list(measured.remarks)
    places, intensity, uncertainty = measured.places, measured.intensity, measured.uncertainty
    axis = axis or measured.axis or _axis_by_values(places, where, remarks)
    usable = np.isfinite(places) & np.isfinite(intensity) & (places > 0)
    if uncertainty is not None and not (np.isfinite(uncertainty[usable]) & (uncertainty[usable] > 0)).all():
        remarks.append("uncertainties that are not positive numbers: none is used")
        uncertainty = None
    if axis == "2theta" and (places[usable] >= 180).any():
        got = f"{places[usable].max():g}"
        raise UserError("2theta beyond 180 degrees", where=where, got=got, next_step="say --axis q or d")
    if not usable.all():
        remarks.append(f"{int((~usable).sum())} points at or below 0, or without a number, are left out")
    places, intensity = places[usable], intensity[usable]
    uncertainty = None if uncertainty is None else uncertainty[usable]
    if not len(places):
        raise UserError("no points", where=where, wanted=f"{axis} above 0 and intensities")
    wavelength = wavelength or measured.wavelength
    if wavelength is None:
        wavelength = _usual_wavelength(axis, places, remarks)
    at = inverse_d(axis, places, wavelength)
    order = np.argsort(at, kind="stable")
    at, first, owner = np.unique(at[order], return_index=True, return_inverse=True)
    intensity = intensity[order]
    uncertainty = None if uncertainty is None else uncertainty[order][first]
    if len(first) < len(intensity):
        remarks.append(f"{len(intensity) - len(first)} points at the place of another one are averaged with it")
        intensity = np.bincount(owner, weights=intensity) / np.bincount(owner)
    else:
        intensity = intensity[first]
    peaks = measured.peaks if form is None else form == "peaks"
    if peaks is None:
        peaks = _is_peak_list(places[order][first])
        remarks.append(f"read as a {'list of peaks' if peaks else 'profile'}, by its steps")
    return PowderPattern(at, intensity, wavelength, peaks, uncertainty, where, tuple(remarks))


LEAST_ANGLE_END = 12.0
"""A first column without a name that ends below this may be Q, d or the angles of a synchrotron: with Cu K-alpha nothing
but the longest cells diffract below 12 degrees."""


def _axis_by_values(places: Float[np.ndarray, "points"], where: str, remarks: list[str]) -> Axis:
    largest = float(np.nanmax(places, initial=0.0))
    if largest < LEAST_ANGLE_END:
        got = f"values from {np.nanmin(places):g} to {largest:g} without a heading"
        raise UserError("cannot tell the axis", where=where, got=got, next_step="say --axis 2theta, q or d")
    remarks.append("no heading names the axis: 2theta in degrees is assumed")
    return "2theta"


def _usual_wavelength(axis: Axis, places: Float[np.ndarray, "points"], remarks: list[str]) -> float:
    """Cu K-alpha; for Q and d, where it matters to intensities alone, a shorter one if that cannot reach as far."""
    usual = WAVELENGTHS[DEFAULT]
    if axis != "2theta":
        reach = float(inverse_d(axis, places, usual).max())
        if usual * reach / 2 > np.sin(np.radians(80)):  # 2theta of 160 degrees: where powder scans end
            usual = float(np.clip(1 / reach, SHORTEST, LONGEST))
            remarks.append(f"no wavelength is told: {usual:.4f} A is assumed, by how far the pattern reaches")
            return usual
    remarks.append(f"no wavelength is told: the mean of Cu K-alpha, {usual} A, is assumed")
    return usual


def _is_peak_list(places: Float[np.ndarray, "points"]) -> bool:
    """Whether steps vary from one to the next, as between peaks; along a profile they are even, but for gaps."""
    if len(places) < 20:  # no profile is so short
        return True
    steps = np.abs(np.diff(places))
    # digits that are cut off make steps of a profile vary by some percent
    return bool(np.median(np.abs(np.log(steps[1:] / steps[:-1]))) > 0.2)
