"""Lists of SMILES: lines that no list has are lines all the same."""

from __future__ import annotations

import pytest

from unigen.data.readers.smiles import read_smiles_list


@pytest.mark.parametrize("heading", ["", "smiles,name\n"])
@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_a_field_longer_than_csv_allows_is_one_line(tmp_path, heading, mark):
    path = tmp_path / "list.smi"
    path.write_text(f"{heading}{'C' * 200_000}{mark}long\nCCO{mark}ethanol\n")
    found = list(read_smiles_list(path))
    assert [each.line for each in found] == [1 + bool(heading), 2 + bool(heading)]
    assert found[1].smiles.startswith("CCO")
