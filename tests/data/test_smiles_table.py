"""Tables of SMILES: every molecule of the source or the reason why not, however many work on it."""

from __future__ import annotations

import csv
from collections import Counter

import pytest

from tests.models.small_molecules import molecules
from tests.molecules.real_molecules import nci_smiles
from unigen.config import read_yaml
from unigen.data.build import build_dataset
from unigen.data.molecule_store import open_smiles_table
from unigen.data.smiles_build import build_smiles_table
from unigen.errors import UserError
from unigen.molecules.rdkit_smiles import canonical_smiles, kekule_smiles, without_stereo


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


@pytest.fixture
def listed(tmp_path):
    """Real molecules, one text that is none and one salt."""
    lines = [*nci_smiles(300), "C1CC", "CCO.[Na+]"]
    (tmp_path / "mine.smi").write_text("\n".join(lines) + "\n")
    return tmp_path / "mine.smi", lines


def test_each_entry_is_in_the_table_or_among_what_is_left_out(home, listed):
    path, lines = listed
    result = build_smiles_table("mine", (str(path),), workers=1)
    table = open_smiles_table("mine:train")
    with (home / "mine" / "smiles-rejected.csv").open() as file:
        rejected = list(csv.DictReader(file))
    assert len(table) + len(rejected) == len(lines)
    assert result.rejected["not a SMILES"] >= 1
    assert result.rejected["several fragments"] >= 1
    assert sum(result.rejected.values()) == len(rejected)
    out = Counter(row["where"].rsplit(" ", 1)[1] for row in rejected)
    kept = [text for number, text in enumerate(lines, start=1) if str(number) not in out]
    assert [canonical_smiles(table[row]) for row in range(len(table))] == list(map(canonical_smiles, kept))
    assert read_yaml(home / "mine" / "smiles.yaml")["splits"] == {"train": len(table)}


def test_workers_change_nothing_and_the_rest_of_the_dataset_stays(home, listed):
    path, _ = listed
    build_dataset("mine", (str(path),), workers=2)
    before = (home / "mine" / "molecules.parquet").read_bytes()
    build_smiles_table("mine", (str(path),), workers=1)
    alone = (home / "mine" / "smiles.parquet").read_bytes()
    build_smiles_table("mine", (str(path),), workers=2)
    assert (home / "mine" / "smiles.parquet").read_bytes() == alone
    assert (home / "mine" / "molecules.parquet").read_bytes() == before


def test_atoms_are_counted_with_their_hydrogens(tmp_path):
    path = tmp_path / "some.sdf"
    path.write_text("".join(molecule.to_sdf() for molecule in molecules()))
    build_smiles_table("some", (str(path),), workers=1)
    table = open_smiles_table("some")
    assert table.num_atoms.tolist() == [len(molecule) for molecule in molecules()]
    assert [table[row] for row in range(len(table))] == [kekule_smiles(each.to_smiles()) for each in molecules()]


def test_excluded_molecules_are_left_out_in_whatever_stereo(home, tmp_path):
    (tmp_path / "drug.smi").write_text("C[C@H](N)C(=O)O\n")
    build_dataset("drug", (str(tmp_path / "drug.smi"),), workers=1)
    (tmp_path / "list.smi").write_text("C[C@@H](N)C(=O)O\nCC(N)C(=O)O\nCCN\n")
    result = build_smiles_table("list", (str(tmp_path / "list.smi"),), exclude=("drug",), workers=1)
    table = open_smiles_table("list")
    assert [without_stereo(table[row]) for row in range(len(table))] == ["CCN"]
    assert result.rejected == {"excluded molecule": 2}


def test_what_a_graph_does_not_hold_is_counted(tmp_path):
    (tmp_path / "some.smi").write_text("[13CH4]\n[CH3:1][OH:2]\nC[C@H](N)C(=O)O |&1:1|\nC[C@H](N)C(=O)O\nCC\n")
    result = build_smiles_table("some", (str(tmp_path / "some.smi"),), workers=1)
    assert result.not_kept == {"isotopes": 1, "atom maps": 1, "hands that the text leaves open (& or o)": 1}
    assert open_smiles_table("some")[0] == "C"


def test_mistakes_are_one_line(home, tmp_path):
    with pytest.raises(UserError, match="not a dataset name; got 'a/b'"):
        build_smiles_table("a/b", ("nothing.smi",))
    with pytest.raises(UserError, match=r"'mine' has no table of SMILES yet.*run: unigen data smiles mine"):
        open_smiles_table("mine:train")
    (tmp_path / "bad.smi").write_text("C1CC\n")
    with pytest.raises(UserError, match=r"bad: holds no molecule that can be used; got .*bad\.smi line 1"):
        build_smiles_table("bad", (str(tmp_path / "bad.smi"),), workers=1)
    assert not (home / "bad" / "smiles.parquet").exists()
    with pytest.raises(UserError, match="crystals have no SMILES"):
        build_smiles_table("oqmd-icsd", workers=1)


def test_the_command_line_writes_lists_and_removes_it(home, listed, unigen):
    path, _ = listed
    code, out, err = unigen("data", "smiles", "mine", "--from", path, "--workers", 1)
    assert (code, err) == (0, "")
    assert "several fragments" in out
    assert f"written to {home / 'mine' / 'smiles.parquet'}" in out.replace("\n", "")
    assert "SMILES" in unigen("data", "list")[1]
    assert unigen("data", "remove", "mine", "--yes")[0] == 0
    assert not (home / "mine").exists()
