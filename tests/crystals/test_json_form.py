"""The same crystal in every JSON form is the same crystal; what is said in two ways must agree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.real_crystals import crystals
from unigen.crystals.crystal import Crystal
from unigen.crystals.json_form import from_json
from unigen.elements import SYMBOLS
from unigen.errors import UserError


def _parts(crystal: Crystal) -> tuple[list, list, list, list]:
    symbols = [SYMBOLS[number] for number in crystal.numbers]
    cartesian = crystal.frac_coords @ crystal.lattice
    return crystal.lattice.tolist(), symbols, crystal.frac_coords.tolist(), cartesian.tolist()


def _optimade(crystal: Crystal) -> dict:
    lattice, symbols, _, cartesian = _parts(crystal)
    kinds = [
        {"name": f"kind-{symbol}", "chemical_symbols": [symbol], "concentration": [1.0]} for symbol in set(symbols)
    ]
    sites = [f"kind-{symbol}" for symbol in symbols]
    fields = {"lattice_vectors": lattice, "species": kinds, "species_at_sites": sites}
    return {"id": "x", "type": "structures", "attributes": fields | {"cartesian_site_positions": cartesian}}


def _arrays(crystal: Crystal, **places: object) -> dict:
    lattice, symbols, _, _ = _parts(crystal)
    return {"lattice": lattice, "species": symbols, **places}


FORMS = {
    "pymatgen": lambda c: c.to_pymatgen().as_dict(),
    "entry": lambda c: {"energy": -1.0, "structure": c.to_pymatgen().as_dict()},
    "numbers": lambda c: {"cell": c.lattice.tolist(), "numbers": c.numbers.tolist(), "frac_coords": _parts(c)[2]},
    "floats": lambda c: {"cell": c.lattice.tolist(), "numbers": [float(n) for n in c.numbers], "coords": _parts(c)[2]},
    "cartesian": lambda c: _arrays(c, cart_coords=_parts(c)[3]),
    "told cartesian": lambda c: _arrays(c, coords=_parts(c)[3], coords_are_cartesian=True),
    "told fractional": lambda c: _arrays(c, coords=_parts(c)[2], coords_are_cartesian=False),
    "both": lambda c: _arrays(c, frac_coords=_parts(c)[2], cart_coords=_parts(c)[3]),
    "jarvis": lambda c: {
        "jid": "JVASP-1",
        "atoms": {
            "lattice_mat": c.lattice.tolist(),
            "elements": _parts(c)[1],
            "coords": _parts(c)[3],
            "cartesian": True,
        },
    },
    "optimade": _optimade,
    "sites": lambda c: {
        "lattice": c.lattice.tolist(),
        "sites": [{"label": f"{s}{n}", "xyz": xyz} for n, (s, xyz) in enumerate(zip(*_parts(c)[1::2], strict=True))],
    },
}


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=10, deadline=None)
@given(crystal=crystals())
def test_every_form_is_the_same_crystal(form, crystal):
    read = from_json(FORMS[form](crystal))
    assert read.numbers.tolist() == crystal.numbers.tolist()
    assert read.lattice == pytest.approx(crystal.lattice)
    assert read.frac_coords == pytest.approx(crystal.frac_coords, abs=1e-7)


CUBE = (4 * np.eye(3)).tolist()
NACL = {"lattice": CUBE, "species": ["Na", "Cl"], "frac_coords": [[0, 0, 0], [0.5, 0.5, 0.5]]}


@given(
    symbol=st.sampled_from(SYMBOLS[1:]),
    before=st.sampled_from(["", "12", "2"]),
    behind=st.sampled_from(["", "+", "2+", "3-", "+2", "0+", ",spin=5", "2+,spin=-1"]),
    case=st.sampled_from([str, str.upper, str.lower]),
)
def test_a_species_is_one_element_in_any_spelling(symbol, before, behind, case):
    read = from_json(NACL | {"species": ["Na", f"{before}{case(symbol)}{behind}"]})
    assert SYMBOLS[int(read.numbers[1])] == symbol


@pytest.mark.parametrize("species", ["OH", "Vac1", "Sodium", "NaCl", "Xx", "X", "", "Na_1", None, True, 0, 119, 1.5])
def test_what_is_no_element_is_refused(species):
    with pytest.raises(UserError, match="site 1: unknown species"):
        from_json(NACL | {"species": ["Na", species]})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"cart_coords": [[0, 0, 0], [2, 2, 1]]}, "frac_coords and cart_coords are other places; got 1 A apart"),
        ({"coords_are_cartesian": True}, "frac_coords beside coords_are_cartesian: true"),
        ({"coords_are_cartesian": "no"}, "neither true nor false"),
        ({"species": "NaCl"}, "not a list"),
        ({"species": ["Na"]}, "not three coordinates a site"),
        ({"frac_coords": [[0, 0], [1, 1]]}, "not three numbers"),
        ({"lattice": [[4, 0, 0], [4, 0, 0], [0, 0, 4]]}, "no volume"),
        ({"sites": [{"element": "Na", "abc": [0, 0, 0], "xyz": [1, 0, 0]}]}, "abc and xyz are other places"),
        ({"sites": [{"species": [{"element": "Na", "occu": 0.5}], "abc": [0, 0, 0]}]}, "partial occupancy"),
        ({"sites": ["Na"]}, "not a JSON object"),
    ],
)
def test_contradictions_and_gaps_are_named(change, said):
    with pytest.raises(UserError, match=said):
        from_json(NACL | change)


def test_places_a_lattice_vector_apart_are_the_same():
    read = from_json(NACL | {"cart_coords": [[4, 0, -4], [2, 2, 6]]})
    assert read.frac_coords[1].tolist() == [0.5, 0.5, 0.5]
