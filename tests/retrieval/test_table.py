"""Crystals come back from a table as they went in, whichever of them are chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crystals.scrambled_crystals import assert_same_description, made_up
from tests.retrieval.known_templates import save_table, symmetric_crystals, symmetric_prototypes, table
from unigen.data.build import BuildOptions, build_dataset
from unigen.errors import UserError
from unigen.retrieval.build_table import build_table, open_table
from unigen.retrieval.fingerprint import contacts, fingerprint
from unigen.retrieval.table import UNIT, read_table

rows = st.integers(0, len(symmetric_crystals()) - 1)


@given(rows)
def test_a_crystal_comes_back(row):
    known, wanted = table(), symmetric_crystals()[row]
    assert_same_description(known[row], wanted, 1e-6)
    assert known.counts(row) == wanted.counts
    assert known.volume[row] == pytest.approx(wanted.to_crystal().volume, rel=1e-5)
    assert known.ids[row] == f"known-{row}"
    assert (known.free[known.offsets[row] : known.offsets[row + 1]] < 1.0).all()


def test_crystals_of_every_space_group_come_back(tmp_path):
    crystals = tuple(made_up(number, 0, orbits=2) for number in range(1, 231))
    crystals = tuple(crystal for crystal in crystals if sum(crystal.counts.values()) <= 24)
    known = read_table(save_table(tmp_path / "every.parquet", crystals))
    assert len(known) == len(crystals) > 150
    for row, wanted in enumerate(crystals):
        assert_same_description(known[row], wanted, 1e-6)
        assert known.counts(row) == wanted.counts


@given(rows, st.randoms(use_true_random=False))
def test_looks_are_those_of_the_sites_in_the_order_asked_for(row, random):
    crystal = symmetric_crystals()[row].to_crystal()
    elements = np.array(random.sample(sorted(crystal.counts), len(crystal.counts)))
    look, between = table().site_geometry(row, elements)
    parts = (crystal.frac_coords, crystal.lattice, crystal.numbers, elements)
    np.testing.assert_allclose(look * UNIT, np.minimum(fingerprint(*parts), 255 * UNIT), atol=0.51 * UNIT)
    np.testing.assert_allclose(between * UNIT, np.minimum(contacts(*parts), 255 * UNIT), atol=0.51 * UNIT)


def assert_same_row(one, at, other, there):
    assert_same_description(one[at], other[there], 0.0 + 1e-12)
    assert one.counts(at) == other.counts(there)
    assert (one.ids[at], one.split[at]) == (other.ids[there], other.split[there])
    np.testing.assert_array_equal(one.stability[at], other.stability[there])
    elements = np.array(sorted(one.counts(at)))
    for ours, theirs in zip(one.site_geometry(at, elements), other.site_geometry(there, elements), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@settings(max_examples=20)
@given(st.lists(rows, max_size=6))
def test_chosen_crystals_are_the_same_in_that_order(chosen):
    known = table()
    few = known.select(np.array(chosen, dtype=np.int64))
    assert len(few) == len(chosen)
    for at, row in enumerate(chosen):
        assert_same_row(few, at, known, row)
    np.testing.assert_allclose(few.volume, known.volume[chosen])
    assert few.compositions.owner.tolist() == sorted(few.compositions.owner.tolist())


def test_a_split_is_a_choice(tmp_path):
    known = table()
    val = known.only("val")
    assert set(val.split) == {"val"}
    for at, row in enumerate(np.flatnonzero(known.split == "val")[:5]):
        assert_same_row(val, at, known, int(row))
    with pytest.raises(UserError, match=r"no split 'test'.*wanted one of \['train', 'val'\]"):
        known.only("test")


def _without(path: Path, column: str) -> Path:
    pq.write_table(pq.read_table(path).drop_columns([column]), path)
    return path


@pytest.mark.parametrize("column", ["letters", "contacts", "stability", "space_group", "id", "lattice"])
def test_a_table_that_lacks_something_is_named(tmp_path, column):
    path = save_table(tmp_path / "templates.parquet", symmetric_prototypes()[:2])
    with pytest.raises(UserError, match=f"templates.parquet: not a table of templates.*{column}"):
        read_table(_without(path, column))


def test_other_files_are_no_tables(tmp_path):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1" + bytes(50))
    names = ("id", "split", "space_group", "lattice", "numbers", "letters", "free", "fingerprint", "contacts")
    pq.write_table(pa.table({name: pa.array([1]) for name in (*names, "stability")}), tmp_path / "other.parquet")
    for name in ("torn", "other", "missing"):
        with pytest.raises(UserError, match=f"{name}.parquet: not a table of templates"):
            read_table(tmp_path / f"{name}.parquet")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    for index, crystal in enumerate(symmetric_prototypes()[:8]):
        (folder / "cifs").mkdir(exist_ok=True)
        crystal.to_crystal().to_cif(folder / "cifs" / f"{index}.cif")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIGEN_HOME", str(folder))
        build_dataset("mine", (str(folder / "cifs"),), BuildOptions(split_val=0.3), workers=1)
        yield folder


def test_the_table_of_a_dataset_is_opened_by_name_split_or_path(home):
    path = home / "datasets" / "mine" / "crystals.parquet"
    with pytest.raises(UserError, match="dataset 'mine' has no templates yet; run: unigen data templates mine"):
        open_table("mine:train")
    result = build_table("mine", workers=1)
    assert (result.path, result.crystals) == (path.with_name("templates.parquet"), 8)
    assert sum(result.symprec.values()) == 8
    whole = open_table("mine")
    assert len(whole) == 8
    assert set(open_table("mine:val").split) == {"val"}
    for name in (str(path), path, result.path, str(result.path)):
        assert open_table(name).ids.tolist() == whole.ids.tolist()
    assert open_table(f"{path}:train").ids.tolist() == open_table("mine:train").ids.tolist()
    by_id = dict(zip(whole.ids.tolist(), range(8), strict=True))
    for index, crystal in enumerate(symmetric_prototypes()[:8]):
        assert_same_description(whole[by_id[str(index)]], crystal, 1e-3)
