"""Arrays and databases that say more than they hold, or are not ours: refused before memory is asked for or written."""

from __future__ import annotations

import json
import sqlite3
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.crystals.real_crystals import elemental_crystals
from unigen.data.crystal_store import CrystalDataset, open_crystals
from unigen.data.ragged import items
from unigen.data.readers.crystals import read_crystal_rows
from unigen.errors import UserError


def store(path, **changes):
    """A store of two crystals, some columns of it replaced, or left out where None."""
    crystals = list(elemental_crystals()[:2])
    table = CrystalDataset.to_table(crystals, ["a", "b"], ["train", "train"]).append_column(
        "gap", pa.array([1.0, None])
    )
    for name, values in changes.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    pq.write_table(table, path)
    return path


def test_a_gap_among_properties_is_not_known(tmp_path):
    dataset = open_crystals(store(tmp_path / "a.parquet"))
    assert dataset[0].properties["gap"] == 1.0
    assert "gap" not in dataset[1].properties


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"numbers": [["Na"], ["Cl"]]}, r"column numbers: not uint8"),
        ({"numbers": [[200] * 4, [1] * 2]}, r"column numbers: unknown element; got 200"),
        ({"numbers": [[1], None]}, r"column numbers: 1 values are missing"),
        ({"numbers": [1, 2]}, r"column numbers: no lists of numbers"),
        ({"lattice": [[1.0] * 6] * 2}, r"column lattice, row 0: 6 numbers; wanted 9 each"),
        ({"frac_coords": [[0.0] * 300] * 2}, r"column frac_coords, row 0: not as long as the others; got 100"),
        ({"gap": ["x", "y"]}, r"column gap: no numbers; got string"),
        ({"id": ["a", None]}, r"column id: 1 values are missing"),
    ],
)
def test_a_store_of_other_things_is_refused_by_its_column(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        open_crystals(store(tmp_path / "a.parquet", **changes))


def test_a_store_without_rows_says_so(tmp_path):
    pq.write_table(pq.read_table(store(tmp_path / "a.parquet")).slice(0, 0), tmp_path / "b.parquet")
    with pytest.raises(UserError, match="holds no crystals"):
        open_crystals(tmp_path / "b.parquet")


@pytest.mark.parametrize("shape", ["(100000000000,)", "(9999999, 9999999)", "(-1,)", "(3,)"])
def test_an_array_longer_than_its_bytes_is_refused_before_it_is_made(tmp_path, shape):
    arrays = {"num_atoms": [1], "atomic_numbers": [11], "frac_coords": [[0.0] * 3], "lattice": [np.eye(3) * 4]}
    np.savez(tmp_path / "a.npz", **arrays)
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    lie = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
    with zipfile.ZipFile(tmp_path / "a.npz") as old, zipfile.ZipFile(tmp_path / "b.npz", "w") as new:
        for name in old.namelist():
            new.writestr(name, lie if name == "frac_coords.npy" else old.read(name))
    with pytest.raises(UserError, match="not a readable npz; got frac_coords of shape"):
        list(read_crystal_rows(tmp_path / "b.npz"))


@pytest.mark.parametrize("name", ["num_atoms", "atomic_numbers"])
@pytest.mark.parametrize("values", [[1.5], [np.nan], [1j]])
def test_counts_and_elements_are_whole_numbers(tmp_path, name, values):
    arrays = {"num_atoms": [1], "atomic_numbers": [11], "frac_coords": [[0.0] * 3], "lattice": [np.eye(3) * 4]}
    np.savez(tmp_path / "a.npz", **(arrays | {name: values}))
    with pytest.raises(UserError, match=name):
        list(read_crystal_rows(tmp_path / "a.npz"))


def test_a_database_of_somebody_else_is_refused_and_stays_as_it_is(tmp_path):
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE mine (number)")
    connection.close()
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(UserError, match="a database, but not one of ASE"):
        list(read_crystal_rows(tmp_path / "a.db"))
    assert (tmp_path / "a.db").read_bytes() == before


def test_an_array_in_json_is_as_long_as_it_says(tmp_path):
    array = {"__ndarray__": [[100_000_000_000], "int64", [1]]}
    (tmp_path / "a.json").write_text(json.dumps({"1": {"numbers": array}, "ids": [1], "nextid": 2}))
    with pytest.raises(UserError, match="an array that is not as long as it says"):
        list(read_crystal_rows(tmp_path / "a.json"))


def test_reading_a_cell_of_castep_starts_nothing(tmp_path, monkeypatch):
    lattice = "%BLOCK LATTICE_CART\n3 0 0\n0 3 0\n0 0 3\n%ENDBLOCK LATTICE_CART\n"
    (tmp_path / "a.cell").write_text(lattice + "%BLOCK POSITIONS_FRAC\nNa 0 0 0\n%ENDBLOCK POSITIONS_FRAC\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("subprocess.Popen", None)
    assert [row.structure.formula for row in read_crystal_rows("a.cell")] == ["Na"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.cell"]


def test_bytes_that_are_no_text_are_refused_in_one_line():
    """What a damaged dictionary page holds: an id that is not UTF-8."""
    offsets, text = np.array([0, 3], dtype=np.int32).tobytes(), b"a\xf3b"
    column = pa.StringArray.from_buffers(1, pa.py_buffer(offsets), pa.py_buffer(text))
    with pytest.raises(UserError, match="column id: not string"):
        items(pa.table({"id": column}).combine_chunks(), "id", pa.string(), "a.parquet")
