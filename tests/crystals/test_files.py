"""Round trips of a crystal, and what is refused by name."""

from __future__ import annotations

import io

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from tests.crystals.real_crystals import crystals, prototypes
from unigen.crystals.crystal import Crystal
from unigen.crystals.json_form import from_json
from unigen.errors import UserError

NAMES = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1)
numbers = st.floats(allow_nan=True) | st.floats(-1e3, 1e3)

WAYS = {
    "pymatgen": lambda c: Crystal.from_pymatgen(c.to_pymatgen()),
    "ase": lambda c: Crystal.from_ase(c.to_ase()),
    "poscar": lambda c: Crystal.from_poscar(c.to_poscar()),
    "extxyz": lambda c: Crystal.from_extxyz(c.to_extxyz()),
}


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=20, deadline=None)
@given(crystal=crystals())
def test_round_trip_keeps_every_number(way, crystal):
    back = WAYS[way](crystal)
    assert back.numbers.tolist() == crystal.numbers.tolist()
    assert back.lattice == pytest.approx(crystal.lattice, abs=1e-7)
    assert back.frac_coords == pytest.approx(crystal.frac_coords, abs=1e-7)
    if way in ("ase", "extxyz"):
        assert back.properties == pytest.approx(crystal.properties)


@settings(max_examples=40, deadline=None)
@given(
    crystal=crystals(),
    scale=st.floats(0.5, 8),
    properties=st.dictionaries(
        st.text(st.characters(codec="ascii", categories=("L", "N", "P", "Zs")), min_size=1), numbers
    ),
)
def test_an_extended_xyz_frame_is_what_ase_writes(crystal, scale, properties):
    crystal = Crystal(crystal.numbers, crystal.frac_coords, crystal.lattice * scale, properties)
    expected = io.StringIO()
    ase.io.write(expected, crystal.to_ase(), format="extxyz")
    assert crystal.to_extxyz() == expected.getvalue()


def test_cif_round_trip_keeps_the_crystal(tmp_path):
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False, scale=False)
    for number, crystal in enumerate(prototypes(12)):
        path = tmp_path / f"{number}.cif"
        text = crystal.to_cif(path, symprec=None)
        assert matcher.fit(Crystal.from_cif(path).to_pymatgen(), crystal.to_pymatgen())
        assert Crystal.from_cif(text).counts == crystal.counts
        symmetrised = Crystal.from_cif(crystal.to_cif(symprec=0.01))
        assert symmetrised.reduced_formula == crystal.reduced_formula
        assert symmetrised.space_group() == crystal.space_group()


def cif(*sites: str, a: float = 4.0) -> str:
    cell = f"_cell_length_a {a}\n_cell_length_b 4\n_cell_length_c 4\n" + "".join(
        f"_cell_angle_{angle} 90\n" for angle in ("alpha", "beta", "gamma")
    )
    names = ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")
    loop = "loop_\n" + "".join(f"_atom_site_{name}\n" for name in names)
    return f"data_test\n_symmetry_space_group_name_H-M 'P 1'\n{cell}{loop}" + "\n".join(sites) + "\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (cif("Na1 Na 0 0 0 1", "Cl1 Cl .5 .5 .5 0.5"), "site 1: partial occupancy"),
        (cif("Xx1 Xx 0 0 0 1"), "site 0: unknown species"),
        (cif("Na1 Na 0 0 0 1", "Cl1 Cl 0.01 0 0 1"), "atoms too close; got sites 0 (Na) and 1 (Cl) 0.04 A apart"),
        (cif("Na1 Na 0 0 0 1", a=0.0), ""),
        ("data_nothing\n_cell_length_a 4\n", "not a readable CIF"),
        (cif("Na1 Na 0 0 0 1") + cif("K1 K 0 0 0 1").replace("data_test", "data_two"), "2 structures in one CIF"),
    ],
    ids=["partial", "unknown", "close", "flat", "empty", "two"],
)
def test_refused_cif_names_the_file(tmp_path, text, said):
    path = tmp_path / "bad.cif"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        Crystal.from_cif(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_deuterium_is_hydrogen():
    assert Crystal.from_cif(cif("D1 D 0 0 0 1", "O1 O .5 .5 .5 1")).counts == {1: 1, 8: 1}


def test_missing_file_is_named():
    with pytest.raises(UserError, match=r"absent\.cif: cannot be read"):
        Crystal.from_cif("absent.cif")


def test_refused_from_ase():
    with pytest.raises(UserError, match="no volume"):
        Crystal.from_ase(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]))
    with pytest.raises(UserError, match="not periodic in all three"):
        Crystal.from_ase(Atoms("Cu", cell=[3, 3, 20], pbc=[True, True, False]))
    with pytest.raises(UserError, match="site 1: coordinates are not finite"):
        Crystal.from_ase(Atoms("Cu2", positions=[[0, 0, 0], [np.nan, 0, 0]], cell=[3, 3, 3], pbc=True))
    with pytest.raises(UserError, match="site 0: unknown species"):
        Crystal.from_ase(Atoms("X", cell=[3, 3, 3], pbc=True))


def test_refused_from_pymatgen():
    mixed = Structure(Lattice.cubic(4), [{"Fe": 0.5, "Ni": 0.5}], [[0, 0, 0]])
    with pytest.raises(UserError, match="site 0: partial occupancy"):
        Crystal.from_pymatgen(mixed)
    with pytest.raises(UserError, match="site 0: unknown species"):
        Crystal.from_pymatgen(Structure(Lattice.cubic(4), ["Qa"], [[0, 0, 0]]))


def test_vasp_4_poscar_does_not_get_invented_elements():
    text = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\n1 1\ndirect\n0 0 0\n0.5 0.5 0.5\n"
    with pytest.raises(UserError, match="does not name its elements"):
        Crystal.from_poscar(text)
    with pytest.raises(UserError, match="not a readable POSCAR"):
        Crystal.from_poscar("nonsense\nmore\n")


def test_a_symmetrised_cif_of_a_crystal_without_findable_symmetry_is_p1():
    on_top = Crystal(np.array([22, 22, 8]), np.array([[0.0, 0, 0], [0.003, 0, 0], [0.5, 0.5, 0.5]]), 4.0 * np.eye(3))
    assert "P 1" in on_top.to_cif(symprec=0.1)


def _cif_with(share: str) -> Crystal:
    return Crystal.from_cif(cif(f"Na1 Na 0 0 0 {share}", "Cl1 Cl .5 .5 .5 1"))


def _json_with(share: str) -> Crystal:
    sites = [
        {"species": [{"element": "Na", "occu": float(share)}], "abc": [0, 0, 0]},
        {"species": [{"element": "Cl", "occu": 1}], "abc": [0.5, 0.5, 0.5]},
    ]
    return from_json({"lattice": {"matrix": np.diag([4.0, 4, 4]).tolist()}, "sites": sites})


def _optimade_with(share: str) -> Crystal:
    kinds = [
        {"name": "A", "chemical_symbols": ["Na"], "concentration": [float(share)]},
        {"name": "B", "chemical_symbols": ["Cl"], "concentration": [1]},
    ]
    entry = {"lattice_vectors": np.diag([4.0, 4, 4]).tolist(), "species": kinds, "species_at_sites": ["A", "B"]}
    return from_json(entry | {"cartesian_site_positions": [[0, 0, 0], [2, 2, 2]]})


def _pymatgen_with(share: str) -> Crystal:
    species = [{"Na": float(share)}, {"Cl": 1}]
    return Crystal.from_pymatgen(Structure(Lattice.cubic(4), species, [[0, 0, 0], [0.5, 0.5, 0.5]]))


def _ase_with(share: str) -> Crystal:
    text = cif(f"Na1 Na 0 0 0 {share}", "Cl1 Cl .5 .5 .5 1")
    return Crystal.from_ase(read(io.StringIO(text), format="cif"))


@pytest.mark.parametrize("share", ["1", "0.9991", "0.999", "0.998", "0.5", "0.01"])
@pytest.mark.parametrize("way", [_cif_with, _json_with, _optimade_with, _pymatgen_with, _ase_with])
def test_a_full_site_is_one_to_three_digits_whatever_it_is_read_from(way, share):
    if float(share) >= 0.999:
        assert way(share).formula == "NaCl"
    else:
        with pytest.raises(UserError, match="site 0: partial occupancy"):
            way(share)
