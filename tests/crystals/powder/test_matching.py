"""A crystal is the nearest to its own pattern, and its cell and atoms are found again."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice

from tests.crystals.powder.powder_crystals import ANATASE, CRYSTALS, FLUORITE, QUARTZ, RUTILE, SALT, oxide, strained
from tests.crystals.powder.powder_files import WAVELENGTH, profile
from tests.crystals.real_crystals import described_otherwise
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.background import background, scatter
from unigen.crystals.powder.matching import match, prepare
from unigen.crystals.powder.pattern import PowderPattern
from unigen.crystals.powder.profile import calculated_profile
from unigen.crystals.powder.reflections import reflections
from unigen.errors import UserError


@pytest.mark.parametrize("index", range(len(CRYSTALS)))
def test_the_pattern_of_a_crystal_is_nearest_to_itself(index):
    """Under a background, noise and a line of something else, whatever is left free."""
    pattern = profile(CRYSTALS[index], ground=60.0, seed=index)
    foreign = 80 * np.exp(-0.5 * np.square((pattern.two_theta - 41.0) / 0.1))
    target = prepare(PowderPattern(pattern.inverse_d, pattern.intensity + foreign, WAVELENGTH))
    for free in ("volume", "cell"):
        similarities = [match(target, crystal, free).similarity for crystal in CRYSTALS]
        assert int(np.argmax(similarities)) == index
        assert similarities[index] > 0.9
        assert sorted(similarities)[-2] < 0.8


def test_without_noise_it_is_itself():
    target = prepare(profile(QUARTZ))
    found = match(target, QUARTZ)
    assert found.similarity > 0.975  # not 1, since the breadth of a pattern's peaks is not known to the fit
    assert found.strain < 1e-3
    assert calculated_profile(target, QUARTZ).r_wp < 0.15  # steps of the breadths
    assert calculated_profile(target, ANATASE).r_wp > 0.6


@settings(max_examples=6)
@given(st.sampled_from([RUTILE, SALT]), st.data())
def test_a_crystal_described_otherwise_matches_alike(crystal, data):
    target = prepare(profile(strained(crystal, 1.01, 1.01), ground=20.0, seed=3, step=0.1))
    other = data.draw(described_otherwise(crystal))
    one, two = match(target, crystal, "cell"), match(target, other, "cell")
    assert two.similarity == pytest.approx(one.similarity, abs=1e-3)
    assert two.scale == pytest.approx(one.scale, abs=1e-3)
    assert two.crystal.volume / len(two.crystal) == pytest.approx(one.crystal.volume / len(one.crystal), rel=3e-3)
    assert two.crystal.numbers.tolist() == other.numbers.tolist()
    np.testing.assert_array_equal(two.crystal.frac_coords, other.frac_coords)


@given(st.sampled_from([1, 0.96, 1.04]), st.sampled_from([RUTILE, FLUORITE, SALT]))
def test_the_scale_is_found_again(scale, crystal):
    target = prepare(profile(strained(crystal, scale, scale), step=0.1))
    assert match(target, crystal, "volume").scale == pytest.approx(scale, abs=1e-3)


@pytest.mark.parametrize(("a", "c"), [(1.02, 0.97), (0.98, 1.01)])
def test_free_lattice_parameters_are_found_again(a, c):
    target = prepare(profile(strained(RUTILE, a, c), ground=20.0, seed=1))
    found = match(target, RUTILE, "cell")
    wanted = strained(RUTILE, a, c)
    lengths = [np.linalg.norm(crystal.lattice, axis=1) for crystal in (found.crystal, wanted)]
    np.testing.assert_allclose(*lengths, rtol=5e-4)
    assert found.crystal.space_group(1e-3) == RUTILE.space_group(1e-3)
    assert found.strain == pytest.approx(max(abs(a - 1), abs(c - 1)), abs=1e-3)
    assert match(target, RUTILE, "volume").similarity < found.similarity


def test_atoms_find_their_places_and_keep_the_symmetry_in_any_cell():
    drawn = oxide(136, Lattice.tetragonal(4.65, 2.93), [0.33, 0.33, 0])
    double = Crystal.from_pymatgen(drawn.to_pymatgen() * (1, 1, 2))
    target = prepare(profile(RUTILE, ground=20.0, seed=1))
    for crystal in (drawn, double):
        found = match(target, crystal, "atoms")
        assert found.similarity > max(0.97, match(target, crystal, "cell").similarity)
        oxygen = found.crystal.frac_coords[found.crystal.numbers == 8]
        assert np.abs(oxygen[:, 0] - np.round(oxygen[:, 0])).max() < 0.31
        first = oxygen[np.isclose(oxygen[:, 0], oxygen[:, 1])][0, 0] % 0.5
        assert min(first, 0.5 - first) == pytest.approx(0.5 - 0.305, abs=3e-3)
        assert found.crystal.space_group(1e-3).number == 136


def test_a_list_of_peaks_chooses_like_a_profile():
    lines = reflections(QUARTZ, 0.7)
    order = np.argsort(lines.inverse_d)
    strong = order[lines.intensities(WAVELENGTH)[order] > 0.02 * lines.intensities(WAVELENGTH).max()]
    at, first = np.unique(lines.inverse_d[strong].round(6), return_index=True)
    peaks = PowderPattern(at, lines.intensities(WAVELENGTH)[strong][first], WAVELENGTH, peaks=True)
    target = prepare(peaks)
    assert max(CRYSTALS, key=lambda crystal: match(target, crystal).similarity) is QUARTZ
    assert np.isnan(calculated_profile(target, QUARTZ).r_wp)


def test_what_cannot_be_compared_is_said():
    places = np.linspace(0.2, 0.9, 400)
    noise = np.random.default_rng(0).poisson(100, 400).astype(float)
    with pytest.raises(UserError, match="no peak stands out of the noise"):
        prepare(PowderPattern(places, noise, 1.0))
    with pytest.raises(UserError, match="begins where nothing is compared"):
        prepare(PowderPattern(places + 1.5, noise, 0.5))
    tiny = Crystal(np.array([2]), np.zeros((1, 3)), 0.5 * np.eye(3))
    with pytest.raises(UserError, match="no reflection where the pattern is; got He"):
        match(prepare(profile(SALT)), tiny)


@pytest.mark.parametrize("unit", [1.0, 1e-4])
def test_the_scatter_of_counts_is_their_root_in_any_unit(unit):
    counts = profile(QUARTZ, ground=100.0, seed=2).intensity
    assert np.median(scatter(unit * counts) / (unit * np.sqrt(counts))) == pytest.approx(1, abs=0.1)
    clean = profile(QUARTZ).intensity
    assert scatter(clean).max() < 0.01 * clean.max()


def test_the_background_is_found_under_peaks_and_noise():
    bare, raised = profile(QUARTZ), profile(QUARTZ, ground=100.0, seed=5)
    ground = 100.0 * (1 + np.exp(-raised.two_theta / 20))
    found = background(raised.two_theta, raised.intensity)
    assert np.median(np.abs(found - ground)) < 10  # one deviation of the counts
    # nothing is taken from the peaks
    assert background(bare.two_theta, bare.intensity).max() < 0.02 * bare.intensity.max()
