"""Lists of peaks: the crystal's own whatever cell it is told in, those of the pattern code, those that are measured."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.diffraction.xrd import XRDCalculator

from tests.crystals.powder.powder_crystals import CRYSTALS, RUTILE, SALT
from tests.crystals.powder.powder_files import profile
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.peak_noise import BEGINS, ENDS, as_measured
from unigen.crystals.powder.peaks import HIGHEST, LOWEST, RESOLUTION, PeakList, crystal_peaks, pattern_peaks
from unigen.crystals.powder.radiation import DEFAULT, WAVELENGTHS, inverse_d_of
from unigen.crystals.powder.reflections import reflections
from unigen.errors import UserError

EACH = pytest.mark.parametrize("crystal", CRYSTALS, ids=lambda crystal: crystal.formula)


def same(one: PeakList, other: PeakList, *, atol: float = 1e-6) -> None:
    assert len(one) == len(other)
    assert np.allclose(one.inverse_d, other.inverse_d, atol=atol)
    assert np.allclose(one.intensity, other.intensity, atol=atol)


def anywhere(rng: np.random.Generator, atoms: int) -> Crystal:
    """A crystal without symmetry: all its reflections differ."""
    lattice = np.diag(rng.uniform(3, 6, 3)) + rng.uniform(-0.8, 0.8, (3, 3))
    return Crystal(rng.choice([3, 8, 26], atoms), rng.random((atoms, 3)), lattice)


@given(st.integers(0, 10**6), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_peaks_do_not_depend_on_cell_origin_order_or_frame(seed, atoms):
    rng = np.random.default_rng(seed)
    crystal = anywhere(rng, atoms)
    basis = np.linalg.inv(np.eye(3) + np.triu(rng.integers(-1, 2, (3, 3)), 1)).round()  # of determinant 1
    turned, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(atoms)
    coords = (crystal.frac_coords + rng.random(3))[order] @ np.linalg.inv(basis)
    other = Crystal(crystal.numbers[order], coords, basis @ crystal.lattice @ turned)
    same(crystal_peaks(crystal, 24), crystal_peaks(other, 24))


@EACH
def test_a_supercell_shows_the_peaks_of_its_crystal(crystal):
    cells = np.array([2, 1, 3])
    shifts = np.array([(x, y, z) for x in range(2) for y in range(1) for z in range(3)])
    coords = (crystal.frac_coords[None] + shifts[:, None]).reshape(-1, 3) / cells
    other = Crystal(np.tile(crystal.numbers, 6), coords, crystal.lattice * cells[:, None])
    same(crystal_peaks(crystal, 24), crystal_peaks(other, 24))


@EACH
def test_peaks_are_the_reflections_of_the_pattern_code(crystal):
    peaks = crystal_peaks(crystal, 100, resolution=1e-5)
    lines = reflections(crystal, HIGHEST)
    at, strength = lines.inverse_d, lines.intensities(WAVELENGTHS[DEFAULT])
    most = max(strength[np.abs(at - place) < 2e-5].sum() for place in at)
    for place, intensity in zip(peaks.inverse_d, peaks.intensity, strict=True):
        there = np.abs(at - place) < 2e-5
        assert there.any()
        assert np.isclose(strength[there].sum() / most, intensity, rtol=2e-2)
    strong = (at >= LOWEST) & (strength > 0.01 * strength.max())
    assert all(np.abs(peaks.inverse_d - place).min() < 2e-5 for place in at[strong])


@EACH
def test_peaks_stand_where_pymatgen_has_them(crystal):
    wavelength = WAVELENGTHS[DEFAULT]
    found = XRDCalculator(wavelength).get_pattern(crystal.to_pymatgen(), two_theta_range=(5, 95))
    at = inverse_d_of(np.array(found.x), wavelength)
    peaks = crystal_peaks(crystal, 100)
    strong = np.array(found.y) > 2
    assert all(np.abs(peaks.inverse_d - place).min() < RESOLUTION for place in at[strong])
    within = peaks.inverse_d < at[-1]
    assert all(np.abs(at - place).min() < RESOLUTION for place in peaks.inverse_d[within & (peaks.intensity > 0.02)])


def test_no_two_peaks_are_nearer_than_the_resolution_and_the_strongest_are_kept():
    crystal = anywhere(np.random.default_rng(0), 4)
    every, few = crystal_peaks(crystal, 10**6), crystal_peaks(crystal, 10)
    assert len(few) == 10
    assert (np.diff(every.inverse_d) > 0).all()
    assert every.intensity.max() == few.intensity.max() == 1
    same(few.strongest(4), every.strongest(4))


@EACH
@pytest.mark.parametrize("seed", [None, 1], ids=["calculated", "counted"])
def test_peaks_of_a_profile_are_those_of_the_crystal(crystal, seed):
    """Every strong one is picked where it is, as strong as it is; and nothing is picked from noise."""
    true = crystal_peaks(crystal, 24)
    picked = pattern_peaks(profile(crystal, ground=20.0, counts=5000.0, seed=seed, ends=(10.0, 95.0)), 24)
    assert abs(picked.low - 0.113) < 1e-3
    seen = (true.inverse_d < picked.high) & (true.intensity > 0.1)
    for place, intensity in zip(true.inverse_d[seen], true.intensity[seen], strict=True):
        nearest = np.abs(picked.inverse_d - place).argmin()
        assert abs(picked.inverse_d[nearest] - place) < RESOLUTION
        assert abs(np.log(picked.intensity[nearest] / intensity)) < 0.5
    every = crystal_peaks(crystal, 100).inverse_d
    assert all(np.abs(every - place).min() < 2 * RESOLUTION for place in picked.inverse_d)


def test_a_list_of_peaks_is_the_same_at_any_wavelength():
    lists = []
    for wavelength in (0.7, WAVELENGTHS[DEFAULT]):
        lines = reflections(RUTILE, HIGHEST)
        order = np.argsort(lines.inverse_d)
        intensity = lines.intensities(wavelength)[order]
        shown = intensity > 0.02 * intensity.max()
        lists.append(pattern_peaks(PowderPattern(lines.inverse_d[order][shown], intensity[shown], wavelength, True), 8))
    same(*lists)


def test_a_pattern_of_noise_alone_is_refused():
    flat = np.random.default_rng(0).poisson(100, 1600).astype(float)
    pattern = PowderPattern(inverse_d_of(np.arange(10, 90, 0.05), 1.54), flat, 1.54, name="empty.xy")
    with pytest.raises(UserError, match=r"empty.xy: no peak to ask for; got 1/d from 0.113"):
        pattern_peaks(pattern, 24)


def test_elements_that_scatter_unknown_and_huge_cells_are_refused():
    with pytest.raises(UserError, match="no scattering factors"):
        crystal_peaks(Crystal(np.array([100]), np.zeros((1, 3)), 4 * np.eye(3)), 8)
    with pytest.raises(UserError, match="too large a cell for peaks"):
        crystal_peaks(Crystal(np.full(100, 3), np.random.default_rng(0).random((100, 3)), 90 * np.eye(3)), 8)


@given(st.integers(0, 10**6), st.integers(1, 24))
@settings(max_examples=50, deadline=None)
def test_what_a_measurement_shows_is_a_list_in_its_range(seed, most):
    peaks = as_measured(crystal_peaks(SALT, 48), most, np.random.default_rng(seed))
    if peaks is None:
        return
    assert 1 <= len(peaks) <= most
    assert (np.diff(peaks.inverse_d) >= 0).all()
    assert peaks.low <= peaks.inverse_d[0] <= peaks.inverse_d[-1] <= peaks.high
    assert peaks.intensity.max() == 1
    assert (peaks.low, peaks.high) == (LOWEST, HIGHEST) or (
        BEGINS[0] <= peaks.low <= BEGINS[1] and ENDS[0] <= peaks.high <= ENDS[1]
    )


def test_measurements_differ_and_still_show_the_crystal():
    true, rng = crystal_peaks(RUTILE, 48), np.random.default_rng(0)
    shown = [peaks for _ in range(200) if (peaks := as_measured(true, 24, rng)) is not None]
    assert len({peaks.key for peaks in shown}) == len(shown) > 150
    near = [np.abs(peaks.inverse_d[:, None] - true.inverse_d).min(1) < 0.01 for peaks in shown]
    share = np.concatenate(near).mean()
    assert 0.8 < share < 1.0
