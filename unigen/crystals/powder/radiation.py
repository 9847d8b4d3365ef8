"""Wavelengths of laboratory X-rays, and where reflections stand and how strongly they show at one."""

from __future__ import annotations

import re

import numpy as np

from unigen.errors import UserError
from unigen.shapes import Float

WAVELENGTHS = {
    "CuKa": 1.54187,
    "CuKa1": 1.540593,
    "CuKa2": 1.544427,
    "MoKa": 0.710730,
    "MoKa1": 0.709317,
    "MoKa2": 0.713607,
    "CoKa": 1.790260,
    "CoKa1": 1.788996,
    "CoKa2": 1.792835,
    "CrKa": 2.291000,
    "CrKa1": 2.289726,
    "CrKa2": 2.293651,
    "FeKa": 1.937355,
    "FeKa1": 1.936041,
    "FeKa2": 1.939973,
    "AgKa": 0.560868,
    "AgKa1": 0.559422,
    "AgKa2": 0.563813,
}
"""Angstrom; K-alpha lines after Hoelzer et al., Phys. Rev. A 56, 4554 (1997) and International Tables C, table 4.2.2.4;
without a number the mean of both lines, weighted two to one."""

DEFAULT = "CuKa"
"""Most laboratories' tube. The mean of both lines and not the first: a laboratory that does not say its wavelength has no
monochromator for K-alpha 1 as a rule. Cells fitted with the wrong one of the two are 0.08 % off."""

SHORTEST, LONGEST = 0.05, 10.0
"""Angstrom: of a storage ring's hardest X-rays and of soft ones that no powder diffractometer has."""


def wavelength_of(radiation: str | float) -> float:
    """Angstrom, of a radiation's name such as ``CuKa1``, in any spelling of it, or of a number as text.

    Raises:
        UserError: neither of the two, or no wavelength of X-rays.

    Example:
        >>> wavelength_of("Cu K-alpha1") == wavelength_of("1.540593") == 1.540593
        True
    """
    text = str(radiation).strip()
    plain = re.sub(r"[\s_\-]", "", text).lower().replace("alpha", "a").replace("\u03b1", "a")
    named = {name.lower(): value for name, value in WAVELENGTHS.items()}.get(plain)
    if named is not None:
        return named
    try:
        value = float(re.sub(r"(?i)\s*(A|\u00c5|\u212b|angstroms?)$", "", text))
    except ValueError:
        value = float("nan")
    if not SHORTEST <= value <= LONGEST:
        wanted = f"{SHORTEST:g} to {LONGEST:g} A, or one of {', '.join(WAVELENGTHS)}"
        raise UserError("not a wavelength of X-rays", got=text, wanted=wanted)
    return value


def lorentz_polarisation(inverse_d: Float[np.ndarray, "lines"], wavelength: float) -> Float[np.ndarray, "lines"]:
    r"""How strongly a powder's reflection shows, :math:`(1 + \cos^2 2\theta) / (\sin^2\theta \cos\theta)`.

    Unpolarised radiation, no monochromator; International Tables C, section 6.2.

    Args:
        inverse_d: 1/d in 1/Angstrom; none at or beyond 2/wavelength.
        wavelength: Angstrom.
    """
    theta = np.arcsin(0.5 * wavelength * inverse_d)
    return (1 + np.cos(2 * theta) ** 2) / (np.sin(theta) ** 2 * np.cos(theta))


def two_theta_of(inverse_d: Float[np.ndarray, "lines"], wavelength: float) -> Float[np.ndarray, "lines"]:
    """Degrees."""
    return 2 * np.degrees(np.arcsin(np.clip(0.5 * wavelength * inverse_d, -1, 1)))


def inverse_d_of(two_theta: Float[np.ndarray, "lines"], wavelength: float) -> Float[np.ndarray, "lines"]:
    """1/d in 1/Angstrom of angles in degrees."""
    return 2 * np.sin(np.radians(two_theta) / 2) / wavelength
