"""Building datasets of molecules: the same bytes however it is done, nothing lost when it is stopped, nothing mixed."""

from __future__ import annotations

import csv
import os
import signal
import sys
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from tests.crystals.real_crystals import elemental_crystals
from tests.data.test_build import build_elsewhere, contents
from tests.molecules.real_molecules import VARIED, embedded, nci_smiles
from unigen.config import read_yaml, write_yaml
from unigen.data import recipes, shards
from unigen.data.build import BuildOptions, build_dataset
from unigen.data.molecule_store import open_molecules
from unigen.data.qm9_split import MOLECULES, assign_edm_split, edm_split
from unigen.data.readers.record import Record
from unigen.errors import UserError
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.rdkit_smiles import canonical_smiles
from unigen.molecules.relaxation.estimated import relaxed_estimate
from unigen.molecules.relaxation.xtb import relax_molecule

SHARED = os.environ.get("UNIGEN_DATA")
needs_data = pytest.mark.skipif(not SHARED, reason="UNIGEN_DATA does not name a folder of benchmark files")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


@pytest.fixture
def listed(tmp_path):
    """Forty small real molecules, one text that is none and one salt."""
    small = sorted(set(nci_smiles(400)), key=len)[:40]
    (tmp_path / "mine.smi").write_text("\n".join([*small, "C1CC", "CCO.[Na+]"]) + "\n")
    return tmp_path / "mine.smi"


def test_a_store_tells_text_from_atoms_without_a_chemistry_library(home, listed):
    result = build_dataset("mine", (str(listed),), workers=1)
    assert result.rejected["several fragments"] >= 1
    assert result.rejected["not a SMILES"] == 1
    dataset = open_molecules("mine")
    assert sum(result.splits.values()) == len(dataset) > 25
    for molecule in dataset:
        symbols = [letter for letter in molecule.smiles if letter.isalpha()]
        assert molecule.smiles == molecule.to_smiles()
        heavy = int((molecule.numbers > 1).sum())
        assert (molecule.numbers[:heavy] > 1).all()
        assert len(symbols) >= heavy
        same = replace(molecule, positions=molecule.positions.astype(np.float64)).canonical()
        assert np.array_equal(same.bonds, molecule.bonds)
        assert np.array_equal(same.numbers, molecule.numbers)
    built = read_yaml(home / "mine" / "build.yaml")
    assert built["positions"] == {"ETKDGv3": len(dataset)}
    assert built["rdkit"]
    with (home / "mine" / "rejected.csv").open() as file:
        assert all(row["where"].startswith(str(listed)) for row in csv.DictReader(file))


def test_two_workers_make_the_same_bytes_as_one(home, listed):
    options = BuildOptions(dedup=True, split_val=0.3, largest_fragment=True)
    first = build_dataset("one", (str(listed),), options, workers=1)
    build_dataset("two", (str(listed),), options, workers=2)
    assert contents(home / "one") == contents(home / "two")
    assert set(first.splits) == {"train", "val"}
    assert build_dataset("one", (str(listed),), options, workers=1).already_built


def test_killed_in_the_middle_of_a_write_it_goes_on_to_the_same_bytes(home, listed):
    assert build_elsewhere("whole", listed).stdout == "6\n"
    assert build_elsewhere("killed", listed, kill_after=4).returncode == -signal.SIGKILL
    assert not (home / "killed" / "molecules.parquet").exists()
    assert build_elsewhere("killed", listed).stdout == "3\n"
    assert contents(home / "killed") == contents(home / "whole")


def test_labels_that_are_not_kept_are_counted_and_written(home, tmp_path):
    source = tmp_path / "labelled"
    source.mkdir()
    lines = ("[13CH3]C(=O)O", "[CH3:1][CH2:2]O", "C[C@H](O)F |&1:1|", "CC=[C@]=CC", "C[C@H](O)Cl", "CC.[2H]O[2H]")
    (source / "a.smi").write_text("\n".join(lines))
    water = "3\n\nO 0 0 0\n{0} 0.96 0 0\n2{0} -0.24 0.93 0\n"
    (source / "b.xyz").write_text(water.format("H") + water.format("H").replace("2H", "H").replace("0.96", "0.97"))
    for name, text in (("c", "[2H]C([2H])O"), ("d", "[CH3:7]O"), ("e", "C[C@H](O)F |&1:1|"), ("f", "CCO")):
        mol = Chem.AddHs(Chem.MolFromSmiles(text))
        rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        (source / f"{name}.sdf").write_text(Chem.MolToMolBlock(mol, forceV3000=name == "e") + "$$$$\n")
    options = BuildOptions(largest_fragment=True)
    result = build_dataset("labelled", (str(source),), options, workers=1)
    assert result.not_kept == {
        "isotopes": 3,  # of the mixture the ethane was taken, which has none
        "atom maps": 2,
        "hands that the text leaves open (& or o)": 2,
        "the hand of an axis": 1,
    }
    assert read_yaml(home / "labelled" / "build.yaml")["not_kept"] == result.not_kept
    assert build_dataset("labelled", (str(source),), options, workers=1).not_kept == result.not_kept


def test_options(home, tmp_path):
    lines = ["CCO ethanol", "OCC again", "C[C@H](O)F one", "C[C@@H](O)F other", "CCO.[Na+] salt", "CCCCCCCC long"]
    (tmp_path / "a_train.smi").write_text("\n".join(lines) + "\n")
    (tmp_path / "a_test.smi").write_text("C\nCC\nCCC\n")
    sources = (str(tmp_path / "a_train.smi"), str(tmp_path / "a_test.smi"))
    result = build_dataset("all", sources, BuildOptions(dedup=True, max_atoms=20, largest_fragment=True), workers=1)
    assert open_molecules("all:train").ids.tolist() == ["ethanol", "one", "other"]
    assert result.rejected["duplicate"] == 2
    assert result.splits == {"test": 3, "train": 3}
    limited = build_dataset("some", sources, BuildOptions(limit=2), workers=1)
    assert limited.splits == {"test": 2, "train": 2}
    options = BuildOptions(exclude_compositions_of=("some:train",))
    assert build_dataset("rest", ("all",), options, workers=1).rejected == {"excluded composition": 1}
    assert open_molecules("rest:train")[0].smiles == canonical_smiles("C[C@H](O)F")
    assert read_yaml(home / "rest" / "build.yaml")["positions"] == {"given": 5}
    split = build_dataset("split", ("all",), BuildOptions(split_val=0.5, merge_splits=True), workers=1)
    stereoisomers = [
        side
        for side, name in zip(open_molecules("split").split, open_molecules("split").ids, strict=True)
        if name in ("one", "other")
    ]
    assert len(set(stereoisomers)) == 1
    assert sum(split.splits.values()) == 6


def test_crystals_and_molecules_do_not_mix(tmp_path):
    elemental_crystals()[3].to_cif(tmp_path / "a.cif")
    (tmp_path / "b.smi").write_text("CCO\n")
    with pytest.raises(UserError, match=r"crystals and molecules together.*build a dataset of each"):
        build_dataset("mine", (str(tmp_path / "a.cif"), str(tmp_path / "b.smi")), workers=1)
    with pytest.raises(UserError, match="crystals and molecules together"):
        build_dataset("mine", (str(tmp_path),), workers=1)
    (tmp_path / "c.smi").write_text("C1CC\n")
    with pytest.raises(
        UserError, match=r"no molecule passed the checks; got 1 rejected rows, the first: .*unclosed ring"
    ):
        build_dataset("mine", (str(tmp_path / "c.smi"),), workers=1)


def test_a_dataset_built_anew_of_the_other_kind_replaces_the_first(home, tmp_path):
    elemental_crystals()[3].to_cif(tmp_path / "a.cif")
    (tmp_path / "b.smi").write_text("CCO\n")
    build_dataset("mine", (str(tmp_path / "a.cif"),), workers=1)
    build_dataset("mine", (str(tmp_path / "b.smi"),), workers=1)
    assert [file.name for file in (home / "mine").glob("*.parquet")] == ["molecules.parquet"]


def test_edm_splits_are_those_that_edm_publishes():
    split, half = edm_split()
    assert np.bincount(split).tolist() == [100_000, 17_748, 13_083]
    assert np.bincount(half).tolist() == [30_831, 50_000, 50_000]
    assert ((half > 0) == (split == 0)).all()
    order = np.random.RandomState(0).permutation(MOLECULES)
    assert set(order[-13_083:]) == set(np.flatnonzero(split == 2))
    assert np.flatnonzero(split == 2)[:5].tolist() == sorted(order[117_748:])[:5]


@pytest.mark.parametrize("names", [["1", "2", "4000"], ["2", "1"], ["x"]])
def test_what_is_not_qm9_in_its_order_gets_no_edm_split(names):
    records = (Record(name, "smiles", "C", f"row {name}") for name in names)
    with pytest.raises(UserError, match=f"not QM9 in its order; got index {names[-1]} at place"):
        list(assign_edm_split(records))


@needs_data
def test_qm9_from_the_beginning_of_a_local_copy(tmp_path):
    arrays = dict(np.load(Path(SHARED) / "qm9" / "qm9.npz"))
    count = 400
    atoms = int(arrays["num_atoms"][:count].sum())
    listed = bytes(arrays["smiles"]).decode().split("\n")[:count]
    start = {name: arrays[name][:count] for name in ("index", "num_atoms", "properties")}
    start |= {name: arrays[name][:atoms] for name in ("atomic_numbers", "positions")}
    texts = np.frombuffer("\n".join(listed).encode(), dtype=np.uint8)
    np.savez(tmp_path / "start.npz", **start, smiles=texts, property_names=arrays["property_names"])
    result = build_dataset("qm9", (str(tmp_path / "start.npz"),), workers=1)
    assert result.rejected == {}
    dataset = open_molecules("qm9")
    assert dataset.ids.tolist() == [str(index) for index in start["index"]]
    assert set(dataset.properties) == set(recipes.recipe("qm9").properties)
    assert np.array_equal(dataset.properties["gap"], start["properties"][:, 7])
    flat = [canonical_smiles(smiles.translate(FLAT)) for smiles in dataset.smiles]
    assert flat == [canonical_smiles(smiles) for smiles in listed]
    split, half = edm_split()
    assert dataset.split.tolist() == [("train", "val", "test")[index] for index in split[:count]]
    assert np.nan_to_num(dataset.properties["half"]).tolist() == half[:count].tolist()


FLAT = str.maketrans("", "", "/\\@")


def test_members_of_one_distribution_are_fetched_at_once(tmp_path):
    card = recipes.recipe("moses")
    files = tuple(replace(file, sha256=None) for file in card.files)
    archive = tmp_path / "archives" / "molsets==0.3.1" / "molsets.whl"
    archive.parent.mkdir(parents=True)
    with zipfile.ZipFile(archive, "w") as wheel:
        for file in files:
            wheel.writestr(file.member, "SMILES\nCCO\n")
    paths = recipes.fetch(replace(card, files=files), tmp_path)
    assert len({path.name for path in paths}) == 3
    assert not (tmp_path / "archives").exists()


def test_moses_is_embedded_and_says_so(home, tmp_path):
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("SMILES\n" + "\n".join(VARIED[:3]) + "\n")
    sources = tuple(str(tmp_path / f"{name}.csv") for name in ("train", "test"))
    result = build_dataset("moses", sources, BuildOptions(limit=2), workers=1)
    assert result.splits == {"test": 2, "train": 2}
    assert open_molecules("moses").ids.tolist() == ["train-1", "train-2", "test-1", "test-2"]
    assert read_yaml(home / "moses" / "build.yaml")["positions"] == {"ETKDGv3": 4}
    assert open_molecules("moses")[0].to_smiles() == embedded(VARIED[0]).to_smiles()


def test_several_conformers_are_relaxed_and_have_computed_properties(home, tmp_path):
    (tmp_path / "drugs.smi").write_text("CCOc1ccccc1S(N)(=O)=O first\nOB(O)CCCl second\n")
    options = BuildOptions(conformers=3, relax="mmff94s", compute=("logP", "QED"))
    result = build_dataset("drugs", (str(tmp_path / "drugs.smi"),), options, workers=1)
    dataset = open_molecules("drugs")
    assert result.splits == {"train": 6}
    assert dataset.ids.tolist() == [f"{name}-{number}" for name in ("first", "second") for number in (1, 2, 3)]
    assert read_yaml(home / "drugs" / "build.yaml")["positions"] == {"ETKDGv3 + MMFF94s": 3, "ETKDGv3 + UFF": 3}
    first = [dataset[index] for index in range(3)]
    assert len({molecule.positions.tobytes() for molecule in first}) == 3
    assert len({molecule.properties["logP"] for molecule in first}) == 1
    again, how = relaxed_estimate(first[0], "mmff94s")
    assert how == "ETKDGv3 + MMFF94s"
    assert np.abs(distances(again) - distances(first[0])).max() < 0.05
    plain = build_dataset("plain", (str(tmp_path / "drugs.smi"),), workers=1)
    assert plain.splits == {"train": 2}
    assert not build_dataset("drugs", (str(tmp_path / "drugs.smi"),), workers=1).already_built


@pytest.mark.slow
def test_molecules_relaxed_by_xtb_are_minima_of_it_whatever_the_workers_and_interruptions(home, tmp_path, monkeypatch):
    """Rows are minima of GFN2-xTB with its energy; what becomes another molecule on the way is named."""
    pytest.importorskip("tblite")
    zwitterion = "C[NH+](C)CC(=O)[O-]"  # in a vacuum the proton goes over
    listed = ["CCO first", "C[C@H](N)C(=O)O second", "FC(Cl)Br third", "OB(O)c1ccccc1 fourth", f"{zwitterion} fifth"]
    (tmp_path / "few.smi").write_text("\n".join(listed) + "\n")
    options = BuildOptions(conformers=2, relax="gfn2-xtb")
    monkeypatch.setattr(shards, "SLOW_SHARD_ROWS", 3)  # several parts
    result = build_dataset("few", (str(tmp_path / "few.smi"),), options, workers=1)
    assert result.splits == {"train": 8}
    assert result.rejected == {"made or broke a bond": 2}
    facts = read_yaml(home / "few" / "build.yaml")
    assert facts["positions"] == {"ETKDGv3 + GFN2-xTB": 8}
    assert facts["tblite"] == version("tblite")
    dataset = open_molecules("few")
    for molecule in (dataset[index] for index in range(8)):
        again = relax_molecule(molecule)
        assert again.ending == "converged"
        assert again.steps <= 1  # canonical order and rounding in the store
        assert molecule.properties["energy"] == pytest.approx(again.energy[0], abs=1e-3)
        assert not fault_of(molecule)
    assert {smiles.count("@") for smiles in dataset.smiles[2:4]} == {1}  # the centre is kept
    parallel = build_dataset("parallel", (str(tmp_path / "few.smi"),), options, workers=2)
    assert parallel.path.read_bytes() == result.path.read_bytes()


def test_an_energy_of_the_source_is_not_overwritten_by_that_of_xtb(home, tmp_path):
    pytest.importorskip("tblite")
    (tmp_path / "few.csv").write_text("smiles,energy\nCO,-3.5\nCCO,\n")
    options = BuildOptions(relax="gfn2-xtb")
    source = str(tmp_path / "few.csv")
    assert build_dataset("few", (source,), options, workers=1).splits == {"train": 1}
    assert "has an energy already" in (home / "few" / "rejected.csv").read_text()
    renamed = replace(options, rename=(f"{source}:energy=measured",))
    assert build_dataset("renamed", (source,), renamed, workers=1).splits == {"train": 2}
    assert open_molecules("renamed")[0].properties.keys() == {"energy", "measured"}


def test_relaxing_by_xtb_without_it_is_said_before_anything_is_read(home, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tblite", None)
    monkeypatch.setitem(sys.modules, "tblite.ase", None)
    with pytest.raises(UserError, match=r"need tblite.*xtb"):
        BuildOptions(relax="gfn2-xtb")
    with pytest.raises(UserError, match=r"need tblite.*xtb"):
        build_dataset("drugs-gfn2", workers=1)
    assert not (home / "drugs-gfn2" / ".build" / "source").exists()


def distances(molecule):
    return np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"compute": ("logp",)}, "did you mean"),
        ({"relax": "uff"}, "mmff94s or gfn2-xtb"),
        ({"dedup": True, "conformers": 2}, "one conformer"),
        ({"conformers": 0}, "not a positive count"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        BuildOptions(**options)


def test_a_recipe_reads_files_beside_the_card_and_of_packages_as_often_as_it_says(home, tmp_path, monkeypatch):
    folder = tmp_path / "shelf" / "few"
    folder.mkdir(parents=True)
    (folder / "small.smi").write_text("O water\nC methane\n")
    (folder / "held.smi").write_text("C methane\nCC(=O)Cl chloride\n")
    card = {
        "name": "few",
        "title": "few",
        "about": "few",
        "kind": "molecules",
        "homepage": "https://example.org",
        "licence": "none",
        "citation": "none",
        "files": [
            {"member": "held.smi", "split": "test"},
            {"member": "small.smi", "split": "train", "times": 2},
            {"package": "rdkit", "member": "Data/NCI/first_5K.smi", "split": "val", "limit": 3, "conformers": 2},
        ],
        "compute": ["weight"],
        "max_atoms": 30,
        "hold_out_test": True,
    }
    write_yaml(folder / "card.yaml", card)
    monkeypatch.setattr(recipes, "find_cards", lambda shelf: {"few": folder / "card.yaml"})
    result = build_dataset("few", workers=1)
    dataset = open_molecules("few:train")
    # methane is in the test, and so in no other split
    assert dataset.ids.tolist() == ["water-1", "water-2"]
    assert result.rejected["held out for the test"] == 2
    assert result.splits["val"] == 6
    assert dataset.properties["weight"] == pytest.approx(18.015, abs=0.01)
