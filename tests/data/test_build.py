"""Building a dataset: the same bytes however it is done, and nothing lost when it is stopped."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from tests.crystals.real_crystals import elemental_crystals, prototypes
from tests.data.test_sources import ragged
from unigen.config import read_yaml
from unigen.crystals.crystal import Crystal
from unigen.data.assemble import val_split_off
from unigen.data.build import BuildOptions, build_dataset
from unigen.data.compositions import reduced_formulas
from unigen.data.crystal_rows import CRYSTALS
from unigen.data.crystal_store import open_crystals
from unigen.errors import UserError

SMALL_SHARDS = """
import os, resource, signal, sys
import unigen.data.shards as shards, unigen.data.build as build
shards.SHARD_ROWS = 8
kill_after, limit = int(sys.argv[3]), int(sys.argv[4])
whole, made = shards.pq.write_table, []
def write(table, path, **how):
    made.append(path)
    if len(made) == kill_after:
        path.write_bytes(b"half a part")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(table, path, **how)
shards.pq.write_table = write
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
try:
    build.build_dataset(sys.argv[1], (sys.argv[2],), workers=1)
except build.UserError as error:
    sys.exit(f"user error: {error}")
print(len(made))
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "datasets"


def build_elsewhere(name, source, *, kill_after=0, limit=0):
    """In a process of its own, which may be killed or run into a full disk."""
    command = [sys.executable, "-c", SMALL_SHARDS, name, str(source), str(kill_after), str(limit)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": ":".join(sys.path)}
    )


def contents(folder):
    """The bytes of the store and the list of rejected rows; build.yaml names the source."""
    return [file.read_bytes() for file in sorted([*folder.glob("*.parquet"), folder / "rejected.csv"])]


@pytest.fixture
def cif_folder(tmp_path):
    """71 sound CIFs, one that is no CIF and one of a disordered crystal."""
    folder = tmp_path / "cifs"
    folder.mkdir()
    for index, crystal in enumerate(elemental_crystals()):
        crystal.to_cif(folder / f"c{index:02d}.cif", symprec=None)
    (folder / "c30-torn.cif").write_text((folder / "c30.cif").read_text()[:150])
    mixed = (folder / "c31.cif").read_text().replace(" 1\n", " 0.5\n")
    (folder / "c31-mixed.cif").write_text(mixed)
    return folder


def test_an_unreadable_cif_among_many_is_skipped_counted_and_listed(home, cif_folder):
    result = build_dataset("mine", (str(cif_folder),), workers=1)
    assert result.splits == {"train": 71}
    assert result.rejected == {"not a readable CIF": 1, "site partial occupancy": 1}
    with (home / "mine" / "rejected.csv").open() as file:
        rejected = list(csv.DictReader(file))
    assert [row["id"] for row in rejected] == ["c30-torn", "c31-mixed"]
    assert all(row["where"].endswith(f"{row['id']}.cif") for row in rejected)
    dataset = open_crystals("mine")
    assert dataset.ids.tolist() == [f"c{index:02d}" for index in range(71)]
    assert all(len(mine) == len(real.reduced()) for mine, real in zip(dataset, elemental_crystals(), strict=True))
    assert not (home / "mine" / ".build").exists()
    assert read_yaml(home / "mine" / "build.yaml")["rejected"] == result.rejected


def test_two_workers_make_the_same_bytes_as_one(home, cif_folder):
    build_dataset("one", (str(cif_folder),), BuildOptions(dedup=True, split_val=0.2), workers=1)
    build_dataset("two", (str(cif_folder),), BuildOptions(dedup=True, split_val=0.2), workers=2)
    assert contents(home / "one") == contents(home / "two")


def test_built_again_from_the_same_it_does_nothing(cif_folder):
    first = build_dataset("mine", (str(cif_folder),), workers=1)
    assert not first.already_built
    again = build_dataset("mine", (str(cif_folder),), workers=1)
    assert again.already_built
    assert again.splits == first.splits
    assert not build_dataset("mine", (str(cif_folder),), BuildOptions(max_atoms=2), workers=1).already_built


def test_killed_in_the_middle_of_a_write_it_goes_on_to_the_same_bytes(home, cif_folder):
    assert build_elsewhere("whole", cif_folder).stdout == "10\n"
    assert build_elsewhere("killed", cif_folder, kill_after=5).returncode == -signal.SIGKILL
    assert not (home / "killed" / "crystals.parquet").exists()
    assert len(list((home / "killed" / ".build").glob("part-*.parquet"))) == 4
    assert build_elsewhere("killed", cif_folder).stdout == "6\n"
    assert contents(home / "killed") == contents(home / "whole")


def test_a_full_disk_is_one_clear_line_and_loses_nothing(home, cif_folder):
    build_elsewhere("whole", cif_folder)
    parts = 8_000  # bytes: enough for every part, not for the store
    stopped = build_elsewhere("full", cif_folder, limit=parts)
    assert stopped.stderr.startswith("user error: ")
    assert "no space left" in stopped.stderr
    assert stopped.stderr.count("\n") == 1
    assert len(list((home / "full" / ".build").glob("part-*.parquet"))) == 10
    assert not list(home.rglob("*.partial"))
    assert build_elsewhere("full", cif_folder).stdout == "0\n"
    assert contents(home / "full") == contents(home / "whole")


def supercell(crystal):
    doubled = np.concatenate([crystal.frac_coords, crystal.frac_coords + np.eye(3)[0]]) / [2, 1, 1]
    return Crystal(np.tile(crystal.numbers, 2), doubled, crystal.lattice * [[2], [1], [1]])


def test_dedup_keeps_the_first_of_the_same_crystal(tmp_path):
    some = prototypes(10)
    other_origin = Crystal(some[3].numbers, some[3].frac_coords + 0.1, some[3].lattice)
    ragged(tmp_path / "a.npz", [*some, supercell(some[0]), other_origin])
    result = build_dataset("mine", (str(tmp_path / "a.npz"),), BuildOptions(dedup=True), workers=1)
    assert result.rejected["duplicate"] >= 2
    ids = open_crystals("mine").ids.tolist()
    assert {"x0", "x3"} <= set(ids)
    assert not {"x10", "x11"} & set(ids)
    again = build_dataset("again", ("mine",), BuildOptions(dedup=True), workers=1)
    assert again.rejected == {}


def test_merging_excluding_and_limiting(tmp_path):
    metals, compounds = elemental_crystals()[:20], prototypes(20)
    ragged(tmp_path / "a.npz", metals, energy=np.arange(20.0), split=np.array(["train", "test"] * 10))
    ragged(tmp_path / "b.npz", [*compounds, *metals], gap=np.ones(40))
    build_dataset("a", (str(tmp_path / "a.npz"),), workers=1)
    options = BuildOptions(exclude_compositions_of=("a:test",), max_atoms=8)
    result = build_dataset("merged", ("a:train", str(tmp_path / "b.npz")), options, workers=1)
    merged = open_crystals("merged")
    assert not set(reduced_formulas(merged)) & set(reduced_formulas(open_crystals("a:test")))
    assert merged.num_atoms.max() <= 8
    assert {"excluded composition", "too many atoms"} <= set(result.rejected)
    assert len(set(merged.ids)) == len(merged)  # both sources call their rows x0, x1, ...
    assert sorted(merged.properties) == ["energy", "gap"]
    from_a = np.isfinite(merged.properties["energy"])
    assert from_a.any()
    assert np.isnan(merged.properties["gap"][from_a]).all()


def test_a_property_of_one_source_gets_a_name_of_its_own(tmp_path):
    """Energies of two schemes would be one column, of which nobody could tell what it holds."""
    ragged(tmp_path / "a.npz", prototypes(20), work=np.arange(20.0))
    ragged(tmp_path / "b.npz", elemental_crystals()[:10], work=-np.arange(10.0), gap=np.ones(10))
    texts = tuple(str(tmp_path / f"{name}.npz") for name in "ab")

    def built(*rename: str) -> dict[str, np.ndarray]:
        build_dataset("both", texts, BuildOptions(rename=rename), workers=1)
        return open_crystals("both").properties

    plain = built()
    named = built(f"{texts[1]}:work=work_b")
    assert sorted(named) == ["gap", "work", "work_b"]
    from_b = np.isfinite(named["work_b"])
    assert np.array_equal(from_b, np.isfinite(named["gap"]))
    assert np.array_equal(np.where(from_b, named["work_b"], named["work"]), plain["work"])
    assert np.isnan(named["work"][from_b]).all()
    swapped = built(f"{texts[1]}:work=gap", f"{texts[1]}:gap=work")
    assert np.array_equal(swapped["gap"][from_b], plain["work"][from_b])
    for rename, said in (
        ("work=x", "--rename: not understood; got work=x; wanted SOURCE:OLD=NEW"),
        ("c:work=x", "--rename: no such source; got c"),
        (f"{texts[1]}:work=energy", "--rename: energy is a total of the cell, work is none; got work=energy"),
        (f"{texts[0]}:gap=x", "no structure has this property; got gap"),
        (f"{texts[1]}:work=gap", "a structure has a property of that name; got gap"),
    ):
        with pytest.raises(UserError, match=said):
            built(rename)
    with pytest.raises(UserError, match="a name is given twice"):
        built(f"{texts[1]}:work=x", f"{texts[1]}:gap=x")
    assert sorted(open_crystals("both").properties) == ["gap", "work"]  # what was built stays


def test_split_val_follows_the_formula(tmp_path):
    both = [*elemental_crystals(), *prototypes(60)]
    ragged(tmp_path / "a.npz", both)
    ragged(tmp_path / "b.npz", both[::-1])
    splits = []
    for name in ("a", "b"):
        build_dataset(name, (str(tmp_path / f"{name}.npz"),), BuildOptions(split_val=0.2), workers=1)
        dataset = open_crystals(name)
        splits.append({split: set(reduced_formulas(dataset.only(split))) for split in ("train", "val")})
    assert splits[0] == splits[1]
    assert not splits[0]["train"] & splits[0]["val"]
    assert 0.1 < len(splits[0]["val"]) / sum(map(len, splits[0].values())) < 0.3


def test_merged_splits_are_split_anew_by_formula(tmp_path):
    ragged(tmp_path / "train.npz", prototypes(30))
    ragged(tmp_path / "test.npz", elemental_crystals())
    sources = (str(tmp_path / "train.npz"), str(tmp_path / "test.npz"))
    build_dataset("merged", sources, BuildOptions(merge_splits=True, split_val=0.2), workers=1)
    dataset = open_crystals("merged")
    assert set(dataset.split) == {"train", "val"}
    assert not set(reduced_formulas(dataset.only("train"))) & set(reduced_formulas(dataset.only("val")))


@pytest.mark.parametrize(
    ("name", "sources", "said"),
    [
        ("nobody-knows", (), "no recipe 'nobody-knows'.*oqmd-icsd.*--from PATH"),
        ("a/b", (), "not a dataset name"),
        ("mine", ("mp-20",), "neither a path nor a built dataset.*unigen data build mp-20"),
        ("mine", ("nothing",), "neither a path nor a built dataset"),
    ],
)
def test_what_cannot_be_built_is_said(name, sources, said):
    with pytest.raises(UserError, match=said):
        build_dataset(name, sources)


def test_no_crystal_at_all_is_an_error(tmp_path):
    (tmp_path / "a.jsonl").write_text(json.dumps({"lattice": 1}) + "\n")
    with pytest.raises(UserError, match=r"no crystal passed.*1 rejected rows.*a\.jsonl line 1"):
        build_dataset("mine", (str(tmp_path / "a.jsonl"),), workers=1)


@pytest.mark.parametrize("options", [{"split_val": 1.0}, {"split_val": -0.1}, {"max_atoms": 0}])
def test_impossible_options(options):
    with pytest.raises(UserError, match=next(iter(options))):
        BuildOptions(**options)


def test_the_side_of_a_formula_never_changes():
    """Published splits depend on it: these sides are part of the file format."""

    def side(split, formula, fraction):
        return val_split_off(split, CRYSTALS.side_key(formula), fraction)

    formulas = ["SrTiO3", "NaCl", "H2O", "Fe", "CaF2", "LiFePO4", "GaAs", "TiO2", "Cu", "MgO"]
    assert [formula for formula in formulas if side("train", formula, 0.3) == "val"] == ["SrTiO3", "H2O", "MgO"]
    assert side("train", "SrTiO3", 0.999) == side("train", "O3TiSr", 0.999)
    assert side("test", "NaCl", 0.999) == "test"
