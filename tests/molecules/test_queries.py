"""Atoms that may be one of several elements: queries are no molecules, and never reach RDKit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unigen.errors import UserError
from unigen.eval.molecules.samples import read_samples
from unigen.molecules.molecule import Molecule

V3000 = """
  a title

  0  0  0     0  0            999 V3000
M  V30 BEGIN CTAB
M  V30 COUNTS 2 1 0 0 0
M  V30 BEGIN ATOM
M  V30 1 H 0 0 0.37 0
M  V30 2 {atom} 0 0 -0.37 0
M  V30 END ATOM
M  V30 BEGIN BOND
M  V30 1 1 1 2
M  V30 END BOND
M  V30 END CTAB
M  END
"""
V2000 = """
  a title

  2  1  1  0  0  0  0  0  0  0999 V2000
    0.0000    0.0000    0.3700 H   0  0
    0.0000    0.0000   -0.3700 {atom}   0  0
  1  2  1  0
{line}M  END
"""
listed = st.lists(st.sampled_from(["", "C", "N", "H"]), max_size=3).map(",".join)


@given(st.sampled_from(["", "NOT"]), listed)
def test_atom_lists_are_refused_in_one_line(prefix, elements):
    with pytest.raises(UserError, match="a query, not a molecule"):
        Molecule.from_sdf(V3000.format(atom=f"{prefix}[{elements}]"))


@pytest.mark.parametrize("line", ["  2 F    0", "  2 T    2   6   7", "M  ALS   2  2 F C   N   ", "M  ALS   2  0 T "])
def test_so_are_those_of_v2000(line, tmp_path):
    text = V2000.format(atom="L", line=f"{line}\n")
    with pytest.raises(UserError, match="a query, not a molecule"):
        Molecule.from_sdf(text)
    (tmp_path / "a.sdf").write_text(text + "$$$$\n" + V2000.format(atom="H", line="") + "$$$$\n")
    samples = read_samples(tmp_path / "a.sdf")
    assert [entry.molecule is None for entry in samples.entries] == [True, False]
    assert "a query, not a molecule" in samples.entries[0].reason


@pytest.mark.parametrize("form", [V3000, V2000])
def test_molecules_are_read_as_before(form):
    assert Molecule.from_sdf(form.format(atom="H", line="")).numbers.tolist() == [1, 1]
    # behind the end of the entry anything may be written
    behind = form.format(atom="H", line="") + "> <note>\n  2 F    0\n\n$$$$\n"
    assert Molecule.from_sdf(behind).numbers.tolist() == [1, 1]
