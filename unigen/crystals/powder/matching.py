"""How well a crystal explains a powder pattern, with its cell left free to breathe.

Both are compared as square roots of intensities (so that a few strong peaks, preferred orientation and a foreign line
weigh less) on a grid of ln(1/d), smeared by the same relative width. There a change of the cell's volume is a shift, so
that all isotropic scales are tried at the price of one correlation; after that the lattice parameters that the symmetry
leaves free are fitted by least squares, with a width that narrows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.background import background, scatter
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.radiation import inverse_d_of
from unigen.crystals.powder.reflections import Reflections, reflections
from unigen.shapes import Float

STEP = 1e-3
"""Of the grid in ln(1/d): a tenth of a percent, a third of the narrowest width."""

RANGE = 0.05
"""Largest change of the edges that is looked for at first. Of cells that the bundled model draws of its own known
structures, nine in ten are within it."""

WIDTHS = (0.012, 0.006, 0.003)
"""Standard deviations of the smearing, relative to 1/d, one fit after the other; the last is the one that tells
candidates apart."""

STIFFNESS = 0.03
"""Standard deviation of the strain that a drawn cell is believed to have: what holds the fit of a triclinic cell to few
peaks."""

NOISE = 1.0
"""Standard deviations of the smeared noise that are taken off the pattern: its square root would lift all of them."""

STARTS = 2
"""Isotropic scales from which free lattice parameters are fitted: the best ones that are not neighbours."""

LARGEST = 1.4
"""1/d in 1/Angstrom beyond which nothing is compared: there are more reflections there than can be told apart, and they
are weak. Cu K-alpha ends at 1.3."""


@dataclass(frozen=True, eq=False)
class Target:
    """A pattern, made ready to be compared with many crystals.

    Attributes:
        pattern: as it was read.
        net: above the background, never negative, at the points of the pattern.
        start: ln(1/d) of the first point of the grid.
        roots: square roots of the smeared pattern on the grid, of length one, for each of `WIDTHS`.
    """

    pattern: PowderPattern
    net: Float[np.ndarray, "points"]
    start: float
    roots: Float[np.ndarray, "widths grid"]

    @property
    def size(self) -> int:
        """Points of the grid."""
        return self.roots.shape[1]

    @property
    def largest(self) -> float:
        """1/d up to which reflections are needed, in 1/Angstrom: beyond the last point by what a cell may shrink."""
        return float(np.exp(self.start + STEP * self.size + RANGE + 0.03))


@dataclass(frozen=True, eq=False)
class Match:
    """How a crystal explains a pattern.

    Attributes:
        crystal: with its cell as the fit left it, fractional coordinates as they were.
        similarity: 0 to 1: the cosine between the square roots of both patterns.
        r_wp: weighted profile residual of the net intensities, 0 to about 1; NaN for a list of peaks.
        scale: edges of the fitted cell over those that were given, geometric mean.
        strain: largest principal strain of the fitted cell, its sign apart.
    """

    crystal: Crystal
    similarity: float
    r_wp: float
    scale: float
    strain: float


def prepare(pattern: PowderPattern) -> Target:
    """Subtract the background, weigh points by the width they stand for, smear."""
    inside = pattern.inverse_d <= LARGEST
    if pattern.peaks:
        # Lists begin where the first line is; there is none below, down to 5 degrees, where most scans have begun.
        low = min(float(inverse_d_of(np.array(5.0), pattern.wavelength)), 0.98 * float(pattern.inverse_d[0]))
        high = 1.01 * float(pattern.inverse_d[inside][-1])
        net, mass, noise = pattern.intensity, pattern.intensity, np.zeros(len(pattern))
    else:
        low, high = float(pattern.inverse_d[0]), float(pattern.inverse_d[inside][-1])
        two_theta = pattern.two_theta
        net = pattern.intensity - background(two_theta, pattern.intensity)
        given = pattern.uncertainty
        sigma = scatter(pattern.intensity) if given is None else given
        # integrated intensities are areas over 2theta
        mass, noise = net * np.gradient(two_theta), sigma * np.gradient(two_theta)
    start, size = float(np.log(low)), round(float(np.log(high / low)) / STEP) + 1
    place = (np.log(pattern.inverse_d) - start) / STEP
    roots = []
    for width in WIDTHS:
        smeared = _smear(_deposit(place[inside], mass[inside], size), width)
        spread = np.sqrt(np.maximum(_smear(_deposit(place[inside], noise[inside] ** 2, size), width, squared=True), 0))
        root = np.sqrt(np.maximum(smeared - NOISE * spread, 0.0))
        roots.append(root / max(float(np.linalg.norm(root)), 1e-300))
    return Target(pattern, np.maximum(net, 0.0), start, np.array(roots))


def match(target: Target, crystal: Crystal, *, free: bool = True) -> Match:
    """How a crystal explains a pattern once its cell has been fitted.

    Args:
        target: as `prepare` makes it.
        crystal: any cell of it.
        free: fit the lattice parameters that its symmetry leaves free; False for the volume alone.

    Raises:
        UserError: as `unigen.crystals.powder.reflections.reflections`.
    """
    lines = reflections(crystal, target.largest)
    strengths = lines.intensities(target.pattern.wavelength)
    # 1/d^2 = |g|^2 - 2 sum_j e_j g^T B_j g, linear in the strains e of the reciprocal lattice
    squares = np.square(lines.inverse_d)
    slopes = np.einsum("ni,fij,nj->nf", lines.vectors, lines.strains, lines.vectors)
    best, similarity = np.zeros(len(lines.strains)), -1.0
    for scale in _isotropic_scales(target, lines, strengths):
        strains = np.zeros(len(lines.strains))
        # edges grow by the scale, 1/d shrinks by it; the isotropic tensor is the unit matrix over the root of three
        strains[0] = np.sqrt(3) * (1 - scale**-2) / 2
        if free:
            for level in range(len(WIDTHS)):
                strains = _fitted(target, level, squares, slopes, strengths, strains)
        found = _similarity(target, len(WIDTHS) - 1, squares, slopes, strengths, strains)
        if found > similarity:
            best, similarity = strains, found
    stretch = _stretch(lines, best)
    principal = np.linalg.eigvalsh(stretch)
    moved = Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice @ stretch, crystal.properties)
    return Match(
        crystal=moved,
        similarity=similarity,
        r_wp=float("nan"),
        scale=float(np.linalg.det(stretch) ** (1 / 3)),
        strain=float(np.abs(principal - 1).max()),
    )


def _stretch(lines: Reflections, strains: Float[np.ndarray, "free"]) -> Float[np.ndarray, "3 3"]:
    """What the rows of a lattice are multiplied with, so that 1/d^2 changes by these strains."""
    values, axes = np.linalg.eigh(np.eye(3) - 2 * np.einsum("f,fij->ij", strains, lines.strains))
    return (axes / np.sqrt(values)) @ axes.T


def _isotropic_scales(target: Target, lines: Reflections, strengths: Float[np.ndarray, "families"]) -> list[float]:
    """The edges' best scales within `RANGE`, best first."""
    reach = round(RANGE / STEP)
    place = (np.log(lines.inverse_d) - target.start) / STEP + reach
    size = target.size + 2 * reach
    root = np.sqrt(np.maximum(_smear(_deposit(place, strengths, size), WIDTHS[0]), 0.0))
    squared = np.concatenate([[0.0], np.cumsum(root**2)])
    norms = np.sqrt(squared[target.size :] - squared[: -target.size])
    cosines = np.correlate(root, target.roots[0], mode="valid") / np.maximum(norms, 1e-300)
    order: list[int] = []
    for shift in np.argsort(-cosines, kind="stable").tolist():
        # nearer than a smearing's width they lead to the same fit
        if all(abs(shift - other) * STEP > WIDTHS[0] for other in order):
            order.append(shift)
        if len(order) == STARTS:
            break
    return [float(np.exp((shift - reach) * STEP)) for shift in order]


def _fitted(
    target: Target,
    level: int,
    squares: Float[np.ndarray, "families"],
    slopes: Float[np.ndarray, "families free"],
    strengths: Float[np.ndarray, "families"],
    strains: Float[np.ndarray, "free"],
) -> Float[np.ndarray, "free"]:
    """Least squares by scipy (Levenberg and Marquardt), with the derivatives of the smeared roots."""
    from scipy.optimize import least_squares

    measured, width = target.roots[level], WIDTHS[level]

    def smeared(e: Float[np.ndarray, "free"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        moved = np.maximum(squares - 2 * slopes @ e, 0.25 * squares)
        place = (0.5 * np.log(moved) - target.start) / STEP
        root = np.sqrt(_smear(_deposit(place, strengths, target.size), width) + tiny)
        return place, moved, root

    tiny = 1e-6 * float(strengths.sum()) * STEP / width
    still = strains.copy()

    def residuals(e: Float[np.ndarray, "free"]) -> np.ndarray:
        _, _, root = smeared(e)
        factor = float(root @ measured) / float(root @ root)
        held = (e - still) / STIFFNESS * HOLD
        return np.concatenate([factor * root - measured, held])

    def derivatives(e: Float[np.ndarray, "free"]) -> np.ndarray:
        place, moved, root = smeared(e)
        factor = float(root @ measured) / float(root @ root)
        weights = -strengths[:, None] * slopes / moved[:, None] / STEP
        rows = np.stack([_deposit(place, column, target.size) for column in weights.T])
        turned = -_smear(rows, width, order=1) / (2 * root) * factor
        turned -= np.outer(turned @ root / float(root @ root), root)  # the factor follows
        return np.concatenate([turned.T, np.eye(len(e)) / STIFFNESS * HOLD])

    return least_squares(residuals, strains, derivatives, method="lm", max_nfev=15, xtol=1e-5, ftol=1e-6).x


HOLD = 0.05


def _similarity(
    target: Target,
    level: int,
    squares: Float[np.ndarray, "families"],
    slopes: Float[np.ndarray, "families free"],
    strengths: Float[np.ndarray, "families"],
    strains: Float[np.ndarray, "free"],
) -> float:
    moved = np.maximum(squares - 2 * slopes @ strains, 0.25 * squares)
    place = (0.5 * np.log(moved) - target.start) / STEP
    root = np.sqrt(np.maximum(_smear(_deposit(place, strengths, target.size), WIDTHS[level]), 0.0))
    return float(root @ target.roots[level]) / max(float(np.linalg.norm(root)), 1e-300)


def _deposit(
    place: Float[np.ndarray, "lines"], mass: Float[np.ndarray, "lines"], size: int
) -> Float[np.ndarray, "grid"]:
    """Each mass shared by the two points of the grid beside its place; what lies outside is left out."""
    inside = (place >= 0) & (place < size - 1)
    cell = place[inside].astype(np.int64)
    right = mass[inside] * (place[inside] - cell)
    total = np.bincount(cell, weights=mass[inside] - right, minlength=size)
    return total + np.bincount(cell + 1, weights=right, minlength=size)


def _smear(
    values: Float[np.ndarray, "*batch grid"], width: float, *, order: int = 0, squared: bool = False
) -> Float[np.ndarray, "*batch grid"]:
    """Convolved with a normal distribution (or its derivative, or its square) of this width in ln(1/d)."""
    from scipy.ndimage import gaussian_filter1d

    sigma = width / STEP
    if squared:  # the square of a normal distribution is one of a narrower width, but for a factor
        smeared = gaussian_filter1d(values, sigma / np.sqrt(2), mode="constant")
        return smeared / (2 * np.sqrt(np.pi) * sigma)
    return gaussian_filter1d(values, sigma, axis=-1, order=order, mode="constant")
