"""Distances by pair of elements are those of a search through all images; a breach names the worst that is broken."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unigen.crystals.cell import Cell, closest_pair, shortest_by_pair
from unigen.crystals.crystal import Crystal, repeat_cell
from unigen.crystals.limits import breach
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.sample.requests import request_of

RADIUS = 6.0


@st.composite
def crystals(draw) -> Crystal:
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    atoms = draw(st.integers(1, 6))
    lattice = np.diag(rng.uniform(2.0, 6.0, 3)) + rng.uniform(-1.5, 1.5, (3, 3)) * (1 - np.eye(3))
    lattice[2] += draw(st.integers(-3, 3)) * lattice[0]  # a skewed cell has the same distances
    return Crystal(rng.choice([8, 11, 22], atoms), rng.random((atoms, 3)), lattice)


def brute_force(crystal: Crystal) -> dict[tuple[int, int], float]:
    """By ASE's neighbour list."""
    from ase.neighborlist import neighbor_list

    found: dict[tuple[int, int], float] = {}
    first, second, distance = neighbor_list("ijd", crystal.to_ase(), RADIUS, self_interaction=False)
    for one, other, length in zip(crystal.numbers[first], crystal.numbers[second], distance, strict=True):
        pair = (min(one, other), max(one, other))
        found[pair] = min(found.get(pair, np.inf), length)
    return found


def cell_of(crystal: Crystal) -> Cell:
    return Cell(crystal.lattice, crystal.frac_coords, crystal.numbers)


@settings(max_examples=40)
@given(crystals())
def test_distances_by_pair_are_those_of_a_search_through_all_images(crystal):
    ours, theirs = shortest_by_pair(cell_of(crystal), RADIUS), brute_force(crystal)
    assert ours.keys() == theirs.keys()
    assert all(ours[pair] == pytest.approx(theirs[pair], abs=1e-9) for pair in ours)
    if ours:
        closest = closest_pair(crystal.lattice, crystal.frac_coords).distance
        assert min(ours.values()) == pytest.approx(closest, abs=1e-9)


@settings(max_examples=20)
@given(crystals(), st.integers(2, 3), st.floats(0.5, 6.0), st.floats(1.0, 60.0))
def test_a_breach_depends_on_the_crystal_and_not_on_its_cell(crystal, copies, distance, volume):
    request = CrystalRequest(min_distance={"all": distance, "O-Na": 2.0}, volume_per_atom=(volume, 2 * volume))
    one, other = breach(request, crystal), breach(request, repeat_cell(crystal, copies))
    assert one.size == pytest.approx(other.size, abs=1e-6)
    assert bool(one.size) == bool(one.reason)


@settings(max_examples=30)
@given(crystals(), st.floats(0.3, 6.0))
def test_one_distance_for_all_is_the_smallest_distance(crystal, distance):
    closest = closest_pair(crystal.lattice, crystal.frac_coords)
    broken = breach(CrystalRequest(min_distance=distance), crystal)
    assert (broken.size > 0) == (closest.distance < distance)
    if broken.size:
        assert broken.size == pytest.approx(1 - closest.distance / distance, abs=1e-6)
        assert set(broken.reason.split()[0].split("-")) == {SYMBOLS[crystal.numbers[site]] for site in closest[:2]}


def test_a_named_pair_goes_by_its_own_number_alone():
    salt = Crystal(np.array([11, 17]), np.array([[0.0] * 3, [0.5] * 3]), np.eye(3) * 3)  # 2.6 and 3.0 Angstrom
    for distances, kept in (
        ({"all": 2.7, "Cl-Na": 2.5}, True),
        ({"all": 2.7}, False),
        ({"Na-Na": 3.1}, False),
        ({"Na-Na": 2.9, "Cl-Cl": 2.9, "K-Cl": 9.0}, True),
        ({"all": 3.1, "Na-Cl": 2.0, "Na-Na": 2.0, "Cl-Cl": 2.0}, True),
    ):
        assert (breach(CrystalRequest(min_distance=distances), salt).size == 0) == kept
    assert breach(CrystalRequest(volume_per_atom=(None, 13.6)), salt).size == 0
    assert "wanted 14:" in breach(CrystalRequest(volume_per_atom=(14.0, None)), salt).reason
    assert breach(CrystalRequest(density=(None, 3.0)), salt).reason.startswith("density 3.59")


@pytest.mark.parametrize(
    ("fields", "distances"),
    [
        ({"min_distance": 1.8}, {"all": 1.8}),
        ({"min_distance": "1.8"}, {"all": 1.8}),
        ({"min_distance": "Ti-O=1.7,O-O=2.2"}, {"Ti-O": 1.7, "O-O": 2.2}),
        ({"min_distance": "O-Ti = 1.7; 1.5"}, {"Ti-O": 1.7, "all": 1.5}),
        ({"min_distance": {"O-Ti": "1.7", "all": 1.5}}, {"Ti-O": 1.7, "all": 1.5}),
    ],
)
def test_distances_are_written_in_many_ways(fields, distances):
    request = request_of({"formula": "TiO2"} | fields)
    assert request.to_dict()["min_distance"] == distances
    assert request == CrystalRequest(formula="TiO2", min_distance=distances)
    assert hash(request) == hash(CrystalRequest(formula="TiO2", min_distance=distances))


@pytest.mark.parametrize("written", ["12:18", [12, 18], (12.0, 18.0), "12.0 : 18"])
def test_ranges_are_written_in_many_ways(written):
    assert request_of({"volume_per_atom": written}).volume_per_atom == (12.0, 18.0)
    assert request_of({"density": ":3"}).density == (None, 3.0)
    assert request_of({"density": [3, None]}).density == (3.0, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"min_distance": "Ti-Q=1"}, "min_distance: not a pair of elements 'Ti-Q'; wanted such as Ti-O"),
        ({"min_distance": "Ti=1"}, "not a pair of elements 'Ti'"),
        ({"min_distance": "Ti-O=x"}, "min_distance: not a number; got 'x'"),
        ({"min_distance": "Ti-O=1,O-Ti=2"}, "min_distance Ti-O: given twice"),
        ({"min_distance": "1,2"}, "min_distance all: given twice"),
        ({"min_distance": "nan"}, "no such distance; got nan Angstrom"),
        ({"min_distance": "-1"}, "no such distance; got -1 Angstrom"),
        ({"min_distance": ","}, "min_distance: none given"),
        ({"volume_per_atom": "12"}, "volume_per_atom: not a range; got 12; wanted a range such as 12:18"),
        ({"volume_per_atom": ":"}, "volume_per_atom: no such range"),
        ({"volume_per_atom": "18:12"}, "volume_per_atom: no such range; got 18:12"),
        ({"density": "0:1"}, "density: no such range; got 0:1"),
        ({"density": "a:1"}, "density: not a number; got 'a'"),
        ({"distinct": "colour"}, "distinct: unknown word; got colour; wanted space_group"),
        ({"distinct": "space-group", "formula": ""}, "distinct: without a formula"),
    ],
)
def test_limits_that_make_no_sense_are_refused(fields, said):
    with pytest.raises(UserError) as error:
        request_of({name: value for name, value in ({"formula": "TiO2"} | fields).items() if value != ""})
    assert said in str(error.value)
