"""POSCAR is read as VASP reads it, whatever way the same cell is written; what is no POSCAR is one line."""

from __future__ import annotations

import io
from fractions import Fraction

import ase.io
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import crystals
from unigen.crystals.crystal import Crystal
from unigen.elements import SYMBOLS
from unigen.errors import UserError

SELECTIVE = "Selective dynamics\n"
FLAGS = (" T T T", " F F F", " .TRUE. .FALSE. T")


@st.composite
def writings(draw) -> tuple[Crystal, str, bool]:
    """A crystal, a POSCAR of it, and whether ASE can read that form."""
    crystal = draw(crystals())
    kind = draw(st.sampled_from(["one", "volume", "three"]))
    factors = {"one": np.full(3, 2.5), "volume": np.ones(3), "three": np.array([0.5, 2.0, 1.25])}[kind]
    scale = {"one": "2.5", "volume": repr(-crystal.volume), "three": "0.5 2.0 1.25"}[kind]
    mode = draw(st.sampled_from(["Direct", "direct", "Fractional", "Cartesian", "cartesian", "Kartesisch"]))
    places = crystal.frac_coords @ crystal.lattice / factors if mode[0] in "CcK" else crystal.frac_coords
    potentials = draw(st.sampled_from(["", "_pv", "/1a2b3c", "_sv/0f"]))
    capitals, selective, named, blank = (draw(st.booleans()) for _ in range(4))
    names = [SYMBOLS[number].upper() if capitals else SYMBOLS[number] for number in crystal.numbers]
    flags = draw(st.sampled_from(FLAGS)) if selective else ""
    lines = ["# a title!", f" {scale}"]
    lines += [" ".join(repr(float(x)) for x in vector / factors) for vector in crystal.lattice]
    lines += [" ".join(name + potentials for name in names), " ".join("1" * len(names))]
    lines += [SELECTIVE.strip()] * selective + [mode] + [""] * blank
    for name, place in zip(names, places, strict=True):
        lines.append("  ".join(repr(float(x)) for x in place) + flags + f" {name}" * named)
    velocities = draw(st.sampled_from(["", "\n" + "0.0 0.0 0.0\n" * len(names)]))
    ase_reads = not capitals and not blank and ".TRUE." not in flags
    return crystal, "\n".join(lines) + "\n" + velocities, ase_reads


@settings(max_examples=60, deadline=None)
@given(writing=writings())
def test_every_writing_of_a_cell_is_that_cell(writing):
    crystal, text, ase_reads = writing
    read = Crystal.from_poscar(text)
    assert read.numbers.tolist() == crystal.numbers.tolist()
    assert read.lattice == pytest.approx(crystal.lattice, abs=1e-8)
    assert read.frac_coords == pytest.approx(crystal.frac_coords, abs=1e-8)
    if ase_reads:
        atoms = ase.io.read(io.StringIO(text), format="vasp")
        assert atoms.numbers.tolist() == read.numbers.tolist()
        assert atoms.cell.array == pytest.approx(read.lattice, abs=1e-8)
        assert atoms.get_scaled_positions(wrap=False) == pytest.approx(read.frac_coords, abs=1e-8)


GOOD = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\nNa Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5\n"


def test_a_negative_scale_is_the_volume_for_cartesian_places_too():
    diamond = "Si\n-40.04\n0 2 2\n2 0 2\n2 2 0\nSi\n2\nCartesian\n0 0 0\n1 1 1\n"
    crystal = Crystal.from_poscar(diamond)
    assert crystal.volume == pytest.approx(40.04)
    assert crystal.smallest_distance() == pytest.approx(float(Fraction(3, 16)) ** 0.5 * (4 * 40.04) ** (1 / 3))
    assert crystal.space_group().number == 227


@pytest.mark.parametrize(
    ("old", "new", "read"),
    [
        ("Na Cl\n", "Na\nCl\n", "NaCl"),
        ("Na Cl\n1 1\n", "Na Cl # of\n1 1 ! each\n", "NaCl"),
        ("Na Cl", "NA CL", "NaCl"),
        ("Na Cl", "Na1 Na2", "Na2"),
        ("Na Cl", "D T", "H2"),
        ("0.5 0.5 0.5", "0.5-0.5-0.5", "NaCl"),
        ("0.5 0.5 0.5", "5.0d-1 0.5D0 .5", "NaCl"),
        ("0 0 0\n0.5 0.5 0.5", "0 0 0 T T T\n0.5 0.5 0.5 F F F", "NaCl"),
        ("Na Cl\n1 1\nDirect\n0 0 0\n0.5 0.5 0.5", "1 1\nDirect\n0 0 0 Na\n0.5 0.5 0.5 Cl", "NaCl"),
    ],
)
def test_unusual_but_unambiguous_forms_are_read(old, new, read):
    assert old in GOOD
    assert Crystal.from_poscar(GOOD.replace(old, new)).formula == read


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("Na Cl\n", "", "does not name its elements"),
        ("Na Cl", "Na OH", "site 1: unknown species; got OH"),
        ("Na Cl", "Vac Cl", "site 0: unknown species; got Vac"),
        ("Na Cl", "Na H.5", "site 1: unknown species; got H.5"),
        ("Na Cl", "Na", "1 symbols, 2 counts"),
        ("1 1", "1 -1", "not counts of atoms"),
        ("1 1", "1 99999999", "the counts are not those"),
        ("1 1", "1" * 5000, "not counts of atoms"),
        ("1 1", "1 2", "3 places announced"),
        ("Direct\n", "", "neither Direct nor Cartesian"),
        ("1.0", "0", "the scale"),
        ("1.0", "1 1", "the scale"),
        ("1.0", "1 -1 1", "the scale"),
        ("0 4 0", "4 0 0", "the cell has no volume"),
        ("0 4 0", "0 4", "not three numbers"),
        ("0 0 0\n0.5 0.5 0.5", "0 0 0 Na\n0.5 0.5 0.5 K", "site 1: named in two ways; got Cl above, K behind"),
        ("0 0 0\n0.5", "0 0 0\n\n0.5", "number 2 is none"),
        ("0.5 0.5 0.5\n", "", "2 places announced; got 1"),
    ],
)
def test_what_is_no_poscar_is_one_line(old, new, said):
    with pytest.raises(UserError) as refused:
        Crystal.from_poscar(GOOD.replace(old, new, 1))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
