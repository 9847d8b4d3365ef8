"""CIF as we write it is the same crystal for every reader, with the group it has and one site an orbit."""

from __future__ import annotations

import io

import ase.io
import gemmi
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifParser

from tests.crystals.real_crystals import crystals, prototypes
from unigen.crystals.cif_writer import SYMPREC
from unigen.crystals.crystal import Crystal
from unigen.crystals.matching import BoundedMatcher, MatchSettings
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.symmetry.crystal_systems import complete_lattice
from unigen.symmetry.space_groups import space_group

EXACT = MatchSettings(stol=0.01, angle_tol=0.1, ltol=0.001)


def by_gemmi(text: str) -> Crystal:
    small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(text).sole_block())
    sites = small.get_all_unit_cell_sites()
    places = [site.fract.tolist() for site in sites]
    lattice = Lattice.from_parameters(*small.cell.parameters)
    return Crystal.from_pymatgen(Structure(lattice, [site.element.name for site in sites], places))


def by_pymatgen(text: str) -> Crystal:
    return Crystal.from_pymatgen(CifParser.from_str(text).parse_structures(primitive=False)[0])


def by_ase(text: str) -> Crystal:
    return Crystal.from_ase(ase.io.read(io.StringIO(text), format="cif"))


READERS = {"ours": Crystal.from_cif, "gemmi": by_gemmi, "pymatgen": by_pymatgen, "ASE": by_ase}


@st.composite
def of_any_group(draw) -> Crystal:
    """One element at any position and another at any other of a space group, in the primitive cell."""
    number = draw(st.integers(2, 230))
    group = space_group(number)
    edges = draw(st.lists(st.floats(6, 11), min_size=3, max_size=3))
    angles = np.radians(draw(st.lists(st.floats(75, 105), min_size=3, max_size=3)))
    letters = draw(st.lists(st.integers(0, len(group.dof) - 1), min_size=1, max_size=2))
    free = np.zeros((len(letters), 3))
    for orbit, letter in enumerate(letters):
        free[orbit, : group.dof[letter]] = draw(st.lists(st.floats(0, 0.99), min_size=3, max_size=3))[
            : group.dof[letter]
        ]
    numbers = np.array([14, 8][: len(letters)])
    lattice = complete_lattice(group.crystal_system, np.array([*edges, *angles]))
    crystal = SymmetricCrystal(number, lattice, numbers, np.array(letters), free).to_crystal()
    # nearer ones are images of one place to gemmi (0.4 A) and to ASE
    assume(crystal.smallest_distance() > 0.8)
    return crystal


@given(crystal=of_any_group())
def test_every_reader_reads_the_crystal_that_was_written(crystal):
    text = crystal.to_cif()
    matcher = BoundedMatcher(EXACT)
    given_cell = matcher.reduce(crystal)
    for name, read in READERS.items():
        back = read(text)
        assert back.reduced(1e-3).counts == crystal.reduced(1e-3).counts, name
        assert back.volume / len(back) == pytest.approx(crystal.volume / len(crystal), rel=1e-6), name
        # a place that is nearly special is written as that: moved by the tolerance of the space group at most
        moved = matcher.same(given_cell, matcher.reduce(back)).rms * (crystal.volume / len(crystal)) ** (1 / 3)
        assert moved <= SYMPREC, name
    group = crystal.space_group(1e-3)
    assert f"_space_group_IT_number {group.number}\n" in text
    # one site an orbit: as many as spglib counts
    assert text.partition("_atom_site_occupancy\n")[2].count("\n") == len(set(crystal_orbits(crystal)))


def crystal_orbits(crystal: Crystal) -> list[int]:
    import spglib

    cell = (crystal.lattice, crystal.frac_coords, crystal.numbers)
    return spglib.get_symmetry_dataset(cell, symprec=1e-3).crystallographic_orbits.tolist()


@given(crystal=crystals())
def test_p1_keeps_the_cell_and_the_order_of_the_atoms(crystal):
    back = Crystal.from_cif(crystal.to_cif(symprec=None))
    assert back.numbers.tolist() == crystal.numbers.tolist()
    assert np.abs((back.frac_coords - crystal.frac_coords + 0.5) % 1 - 0.5).max() < 1e-7
    assert back.lattice @ back.lattice.T == pytest.approx(crystal.lattice @ crystal.lattice.T, abs=1e-5)


def test_a_left_handed_cell_is_not_mirrored():
    """Lengths and angles tell no hand: quartz of P3_121 in a left-handed basis must not come back as P3_221."""
    quartz = SymmetricCrystal(
        152,
        complete_lattice("trigonal", np.array([4.91, 4.91, 5.40, np.pi / 2, np.pi / 2, 2 * np.pi / 3])),
        np.array([14, 8]),
        np.array([0, 2]),
        np.array([[0.4697, 0, 0], [0.4133, 0.2672, 0.1188]]),
    ).to_crystal()
    left = Crystal(quartz.numbers, -quartz.frac_coords, -quartz.lattice)
    for crystal in (quartz, left):
        for symprec in (None, 1e-3):
            assert Crystal.from_cif(crystal.to_cif(symprec=symprec)).space_group().number == 152


def test_a_wider_tolerance_finds_more_symmetry():
    ideal = prototypes(12)[7]
    noise = 0.001 * np.sin(np.arange(3 * len(ideal))).reshape(-1, 3)
    moved = Crystal(ideal.numbers, ideal.frac_coords + noise, ideal.lattice)
    assert "_space_group_IT_number 1\n" in moved.to_cif()
    assert f"_space_group_IT_number {ideal.space_group().number}\n" in moved.to_cif(symprec=0.1)
