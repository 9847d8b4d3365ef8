"""Deuterium and tritium are hydrogen in every format, also in those that ASE reads and where it knows neither."""

from __future__ import annotations

import pytest

from unigen.data.readers.crystals import read_crystal_rows

WATER = {
    "x.res": "TITL {D} 0 64 -1 0 0 3 (P1) n - 1\nCELL 1.5 4 4 4 90 90 90\nLATT -1\nSFAC O {D}\n"
    "{D} 2 0 0 0 1\n{D} 2 0.3 0 0 1\nO 1 .5 .5 .5 1\nEND\n",
    "x.xsf": "CRYSTAL\nPRIMVEC\n4 0 0\n0 4 0\n0 0 4\nPRIMCOORD\n3 1\n{D} 0 0 0\n{D} 1.2 0 0\nO 2 2 2\n",
    "x.gen": "3 S\nO {D}\n1 2 0 0 0\n2 2 1.2 0 0\n3 1 2 2 2\n0 0 0\n4 0 0\n0 4 0\n0 0 4\n",
    "x.cell": "%BLOCK LATTICE_CART\n4 0 0\n0 4 0\n0 0 4\n%ENDBLOCK LATTICE_CART\n"
    "%BLOCK POSITIONS_FRAC\n{D} 0 0 0\n{D} 0.3 0 0\nO .5 .5 .5\n%ENDBLOCK POSITIONS_FRAC\n",
    "x.extxyz": '3\nLattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3\n{D} 0 0 0\n{D} 1.2 0 0\nO 2 2 2\n',
    "POSCAR": "x\n1\n4 0 0\n0 4 0\n0 0 4\n{D} O\n2 1\nDirect\n0 0 0\n.3 0 0\n.5 .5 .5\n",
    "x.json": '{{"lattice": [[4, 0, 0], [0, 4, 0], [0, 0, 4]], "species": ["{D}", "{D}", "O"], '
    '"frac_coords": [[0, 0, 0], [0.3, 0, 0], [0.5, 0.5, 0.5]]}}',
}


@pytest.mark.parametrize("isotope", ["D", "T"])
@pytest.mark.parametrize("name", WATER)
def test_isotopes_are_read_as_hydrogen(tmp_path, name, isotope):
    crystals = []
    for symbol in ("H", isotope):
        folder = tmp_path / symbol
        folder.mkdir()
        (folder / name).write_text(WATER[name].format(D=symbol))
        (row,) = read_crystal_rows(folder / name)
        assert row.structure is not None, row.reason
        crystals.append(row.structure)
    hydrogen, heavy = crystals
    assert hydrogen.formula == heavy.formula == "H2O"
    assert heavy.frac_coords.tolist() == hydrogen.frac_coords.tolist()
