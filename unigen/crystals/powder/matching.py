"""How well a crystal explains a powder pattern, with its cell left free to breathe.

Both are compared as square roots of intensities (so that a few strong peaks, preferred orientation and a foreign line
weigh less) on a grid of ln(1/d), smeared by the same relative width. There a change of the cell's volume is a shift, so
that all isotropic scales are tried at the price of one correlation; after that the lattice parameters that the symmetry
leaves free are fitted by least squares, with a width that narrows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.background import background, scatter
from unigen.crystals.powder.pattern import FEWEST_POINTS, PowderPattern
from unigen.crystals.powder.radiation import inverse_d_of
from unigen.crystals.powder.reflections import Reflections, atom_waves, free_displacements, reflections
from unigen.errors import UserError
from unigen.shapes import Float

Freedom = Literal["volume", "cell", "atoms"]

STEP = 1e-3
"""Of the grid in ln(1/d): a tenth of a percent, a third of the narrowest width."""

RANGE = 0.05
"""Largest change of the edges that is looked for at first. Of 1,241 candidates that match a crystal of MP-20
validation, 85 % are that near to the volume of lowest energy (CHGNet), half within 1.6 %."""

WIDTHS = (0.012, 0.006, 0.003)
"""Standard deviations of the smearing, relative to 1/d, one fit after the other; the last is the one that tells
candidates apart."""

STRAIN, DISPLACEMENT = 0.03, 0.3
"""Standard deviations of the strain, and of the shift of an atom in Angstrom, that a drawn crystal is believed to have:
what holds a fit of many parameters to few peaks."""

HOLD = 0.03
"""Weight of that belief: a parameter that is wrong by its standard deviation costs as much as a misfit whose square is
the square of this, a thousandth of the pattern's."""

CERTAIN = 6.0
"""Standard deviations of the smeared noise above which there is a peak: none of a million points is so high by
chance."""

MOST_STEPS = 12
"""Of a fit at one width."""

MOST_WAVES = 4_000_000
"""Families times atoms times modes; where there are more, atoms stay where they are: a step would take a second."""

NOISE = 3.0
"""Standard deviations of the smeared noise that are taken off the pattern, since its square root would lift all of it.
Of 45 requests with noisy patterns 1, 2 and 4 choose the right candidate for 40, 3 for 41; rutile beside itself, under
noise of 7 % of its highest peak, has a similarity of 0.87, 0.92 and 0.96 with 1, 2 and 3."""

LARGEST = 1.4
"""1/d in 1/Angstrom beyond which nothing is compared: there are more reflections there than can be told apart, and they
are weak. Cu K-alpha ends at 1.3."""


@dataclass(frozen=True, eq=False)
class Target:
    """A pattern, made ready to be compared with many crystals.

    Attributes:
        pattern: as it was read.
        net: above the background, at the points of the pattern.
        weights: one over the squared uncertainties of a profile's points.
        start: ln(1/d) of the first point of the grid.
        roots: square roots of the smeared pattern on the grid, of length one, for each of `WIDTHS`.
    """

    pattern: PowderPattern
    net: Float[np.ndarray, "points"]
    weights: Float[np.ndarray, "points"]
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
        crystal: as the fit left it, in the cell and the order of atoms that were given.
        similarity: 0 to 1: the cosine between the square roots of both patterns.
        scale: edges of the fitted cell over those that were given, geometric mean.
        strain: largest principal strain of the fitted cell, its sign apart.
    """

    crystal: Crystal
    similarity: float
    scale: float
    strain: float


def prepare(pattern: PowderPattern) -> Target:
    """Subtract the background, weigh points by the width they stand for, smear.

    Raises:
        UserError: nothing below `LARGEST`, or nothing that stands out of the noise.
    """
    inside = pattern.inverse_d <= LARGEST
    if int(inside.sum()) < (1 if pattern.peaks else FEWEST_POINTS):
        got, wanted = f"1/d from {pattern.inverse_d[0]:.4g} 1/A", f"a part below {LARGEST} 1/A"
        raise UserError("the pattern begins where nothing is compared", where=pattern.name, got=got, wanted=wanted)
    if pattern.peaks:
        # Lists begin where the first line is; there is none below, down to 5 degrees, where most scans have begun.
        low = min(float(inverse_d_of(np.array([5.0]), pattern.wavelength)[0]), 0.98 * float(pattern.inverse_d[0]))
        high = 1.01 * float(pattern.inverse_d[inside][-1])
        net, mass, noise, weights = pattern.intensity, pattern.intensity, np.zeros(len(pattern)), np.ones(len(pattern))
    else:
        low, high = float(pattern.inverse_d[0]), float(pattern.inverse_d[inside][-1])
        two_theta = pattern.two_theta
        net = pattern.intensity - background(two_theta, pattern.intensity)
        given = pattern.uncertainty
        sigma = scatter(pattern.intensity) if given is None else given
        # a calculated pattern scatters by rounding alone: it then counts as one of 10,000 counts on a ground of 200
        highest = float(net.max())
        weights = 1 / np.maximum(sigma**2, 1e-4 * highest * (np.maximum(net, 0.0) + 0.02 * highest))
        # integrated intensities are areas over 2theta
        mass, noise = net * np.gradient(two_theta), sigma * np.gradient(two_theta)
    start, size = float(np.log(low)), round(float(np.log(high / low)) / STEP) + 1
    place = (np.log(pattern.inverse_d) - start) / STEP
    roots = []
    for width in WIDTHS:
        smeared = _smear(_deposit(place[inside], mass[inside], size), width)
        spread = np.sqrt(np.maximum(_smear(_deposit(place[inside], noise[inside] ** 2, size), width, squared=True), 0))
        root = np.sqrt(np.maximum(smeared - NOISE * spread, 0.0))
        if not (smeared > CERTAIN * spread).any():
            wanted = f"a peak of more than {CERTAIN:g} standard deviations"
            raise UserError("no peak stands out of the noise", where=pattern.name, wanted=wanted)
        roots.append(root / float(np.linalg.norm(root)))
    return Target(pattern, net, weights, start, np.array(roots))


def match(target: Target, crystal: Crystal, free: Freedom = "cell") -> Match:
    """How a crystal explains a pattern once it has been fitted.

    Args:
        target: as `prepare` makes it.
        crystal: any cell of it.
        free: the volume alone; the lattice parameters that its symmetry leaves free; or the coordinates of its atoms
            that it leaves free as well.

    Raises:
        UserError: as `unigen.crystals.powder.reflections.reflections`; no reflection within the pattern.
    """
    model = _Model(target, crystal, moving=free == "atoms")
    if not model.lines.intensities(target.pattern.wavelength).any():
        raise UserError("no reflection where the pattern is", got=crystal.formula)
    # edges grow by the scale, 1/d shrinks by it; the isotropic tensor is the unit matrix over the root of three
    parameters = np.zeros(len(model.believed))
    parameters[0] = np.sqrt(3) * (1 - _isotropic_scale(target, model.lines) ** -2) / 2
    if free != "volume":
        for level in range(len(WIDTHS)):
            parameters = model.fitted(level, parameters)
    root = model.root(len(WIDTHS) - 1, parameters)[0]
    similarity = float(root @ target.roots[-1]) / max(float(np.linalg.norm(root)), 1e-300)
    moved, stretch = model.crystal_at(parameters)
    return Match(
        crystal=moved,
        similarity=min(max(similarity, 0.0), 1.0),
        scale=float(np.linalg.det(stretch) ** (1 / 3)),
        strain=float(np.abs(np.linalg.eigvalsh(stretch) - 1).max()),
    )


class _Model:
    """A crystal's smeared pattern as a function of strains and shifts of atoms."""

    def __init__(self, target: Target, crystal: Crystal, *, moving: bool) -> None:
        self.target, self.crystal = target, crystal
        self.lines = lines = reflections(crystal, target.largest)
        vectors, self._squares = lines.vectors, np.square(lines.inverse_d)
        # 1/d^2 = |g|^2 - 2 sum_j e_j g^T B_j g, linear in the strains e of the reciprocal lattice
        self._slopes = np.einsum("ni,fij,nj->nf", vectors, lines.strains, vectors)
        self._factors = lines.factors(target.pattern.wavelength)
        self._modes = free_displacements(lines.cell) if moving else np.zeros((0, len(lines.cell), 3))
        if self._modes.size * len(vectors) > 3 * MOST_WAVES:
            self._modes = self._modes[:0]
        self._waves = atom_waves(lines.cell, lines.hkl, lines.inverse_d) if len(self._modes) else np.zeros((0, 0))
        self._along = 2 * np.pi * np.einsum("ni,mai->mna", vectors, self._modes)
        self.believed = np.repeat([STRAIN, DISPLACEMENT], [len(lines.strains), len(self._modes)])

    def _strengths(self, shifts: Float[np.ndarray, "modes"]) -> tuple[np.ndarray, np.ndarray]:
        """Of the families, with their derivatives by the shifts."""
        if not len(shifts):
            return self._factors * self.lines.strength, np.zeros((0, len(self._squares)))
        waves = self._waves * np.exp(1j * np.einsum("m,mna->na", shifts, self._along))
        total = waves.sum(axis=1)
        scale = self._factors * self.lines.multiplicity
        slopes = 2 * scale * np.imag(np.conj(np.einsum("na,mna->mn", waves, self._along)) * total)
        return scale * np.abs(total) ** 2, slopes

    def root(self, level: int, parameters: Float[np.ndarray, "free"], *, derivatives: bool = False) -> tuple:
        """The square root of the pattern on the grid, smeared by a width; where wanted its derivatives, too."""
        target, free = self.target, len(self.lines.strains)
        strengths, by_shift = self._strengths(parameters[free:])
        moved = np.maximum(self._squares - 2 * self._slopes @ parameters[:free], 0.25 * self._squares)
        place = (0.5 * np.log(moved) - target.start) / STEP
        smeared = _smear(_deposit(place, strengths, target.size), WIDTHS[level])
        # a millionth of the mean, since a square root has no derivative at zero
        root = np.sqrt(np.maximum(smeared, 0.0) + 1e-6 * strengths.sum() / target.size)
        if not derivatives:
            return (root,)
        by_strain = -(strengths / moved / STEP) * self._slopes.T
        rows = [-_smear(_rows(place, by_strain, target.size), WIDTHS[level], order=1)]
        if len(by_shift):
            rows.append(_smear(_rows(place, by_shift, target.size), WIDTHS[level]))
        return root, np.concatenate(rows) / (2 * root)

    def fitted(self, level: int, start: Float[np.ndarray, "free"]) -> Float[np.ndarray, "free"]:
        """Least squares by scipy (Levenberg and Marquardt), the height of the pattern eliminated."""
        from scipy.optimize import least_squares

        measured = self.target.roots[level]
        held = HOLD / self.believed

        def residuals(parameters: np.ndarray) -> np.ndarray:
            (root,) = self.root(level, parameters)
            height = float(root @ measured) / float(root @ root)
            return np.concatenate([height * root - measured, held * parameters])

        def derivatives(parameters: np.ndarray) -> np.ndarray:
            root, slopes = self.root(level, parameters, derivatives=True)
            height = float(root @ measured) / float(root @ root)
            # the height follows: what is along the pattern itself is no change (Kaufman, BIT 15, 49, 1975)
            slopes = height * (slopes - np.outer(slopes @ root / float(root @ root), root))
            return np.concatenate([slopes.T, np.diag(held)])

        # a candidate that is not there after so many steps is a wrong one
        return least_squares(residuals, start, derivatives, method="lm", max_nfev=MOST_STEPS, xtol=1e-4, ftol=1e-4).x

    def crystal_at(self, parameters: Float[np.ndarray, "free"]) -> tuple[Crystal, Float[np.ndarray, "3 3"]]:
        """The crystal in its own cell, strained and with its atoms shifted; and what multiplied its lattice."""
        crystal, cell, free = self.crystal, self.lines.cell, len(self.lines.strains)
        values, axes = np.linalg.eigh(np.eye(3) - 2 * np.einsum("f,fij->ij", parameters[:free], self.lines.strains))
        stretch = (axes / np.sqrt(np.maximum(values, 0.25))) @ axes.T
        coords = crystal.frac_coords
        if len(self._modes):
            shifts = np.einsum("m,mai->ai", parameters[free:], self._modes)
            apart = (coords @ crystal.lattice @ np.linalg.inv(cell.lattice))[:, None] - cell.frac_coords
            distance = np.linalg.norm((apart - np.round(apart)) @ cell.lattice, axis=-1)
            distance[crystal.numbers[:, None] != cell.numbers] = np.inf
            coords = coords + shifts[distance.argmin(axis=1)] @ np.linalg.inv(crystal.lattice)
        return Crystal(crystal.numbers, coords, crystal.lattice @ stretch, crystal.properties), stretch


def _isotropic_scale(target: Target, lines: Reflections) -> float:
    """The edges' best scale within `RANGE`."""
    strengths = lines.intensities(target.pattern.wavelength)
    reach = round(RANGE / STEP)
    place = (np.log(lines.inverse_d) - target.start) / STEP + reach
    root = np.sqrt(np.maximum(_smear(_deposit(place, strengths, target.size + 2 * reach), WIDTHS[0]), 0.0))
    squared = np.concatenate([[0.0], np.cumsum(root**2)])
    norms = np.sqrt(np.maximum(squared[target.size :] - squared[: -target.size], 0.0))
    cosines = np.correlate(root, target.roots[0], mode="valid") / np.maximum(norms, 1e-300)
    return float(np.exp((int(cosines.argmax()) - reach) * STEP))


def _rows(
    place: Float[np.ndarray, "lines"], masses: Float[np.ndarray, "rows lines"], size: int
) -> Float[np.ndarray, "rows grid"]:
    return np.stack([_deposit(place, mass, size) for mass in masses])


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
