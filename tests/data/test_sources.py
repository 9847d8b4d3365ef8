"""Anyone's structures are read; a bad entry is a row with a reason, never the end of the stream."""

from __future__ import annotations

import csv
import gzip
import json
import re

import ase.db
import ase.io
import numpy as np
import pytest

from tests.crystals.real_crystals import elemental_crystals
from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.record import split_from_name
from unigen.errors import UserError

SOME = elemental_crystals()[3:9]


def site_form(crystal: Crystal) -> dict:
    """UniGenX's form."""
    sites = [
        {"element": atom.symbol, "fractional_coordinates": place.tolist()}
        for atom, place in zip(crystal.to_ase(), crystal.frac_coords, strict=True)
    ]
    return {"lattice": crystal.lattice.tolist(), "sites": sites}


def ragged(path, crystals, **columns):
    np.savez(
        path,
        material_id=np.array([f"x{index}" for index in range(len(crystals))]),
        num_atoms=np.array([len(crystal) for crystal in crystals]),
        atomic_numbers=np.concatenate([crystal.numbers for crystal in crystals]).astype(np.uint8),
        frac_coords=np.concatenate([crystal.frac_coords for crystal in crystals]).astype(np.float32),
        lattice=np.stack([crystal.lattice for crystal in crystals]),
        **columns,
    )


def write_cifs(path):
    (path / "deep").mkdir(parents=True)
    for index, crystal in enumerate(SOME):
        crystal.to_cif((path / "deep" if index % 2 else path) / f"c{index}.cif", symprec=None)
    return path


def write_csv(path):
    with (path.with_suffix(".csv")).open("w", newline="") as file:
        table = csv.DictWriter(file, ["material_id", "cif", "band_gap", "note"])
        table.writeheader()
        table.writerows(
            {"material_id": f"c{index}", "cif": crystal.to_cif(symprec=None), "band_gap": index / 2, "note": "text"}
            for index, crystal in enumerate(SOME)
        )
    return path.with_suffix(".csv")


def write_extxyz(path):
    (path.with_suffix(".extxyz")).write_text("".join(crystal.to_extxyz() for crystal in SOME))
    return path.with_suffix(".extxyz")


def write_jsonl(path):
    lines = [json.dumps({"id": f"c{index}", "score": 1.5, **site_form(c)}) for index, c in enumerate(SOME)]
    with gzip.open(path.with_suffix(".jsonl.gz"), "wt") as file:
        file.write("\n".join(lines) + "\n\n")
    return path.with_suffix(".jsonl.gz")


def write_pymatgen_json(path):
    path.with_suffix(".json").write_text(json.dumps([crystal.to_pymatgen().as_dict() for crystal in SOME]))
    return path.with_suffix(".json")


def write_npz(path):
    ragged(path.with_suffix(".npz"), SOME, band_gap=np.arange(len(SOME)) / 2)
    return path.with_suffix(".npz")


def write_database(path):
    with ase.db.connect(path.with_suffix(".db")) as database:
        for index, crystal in enumerate(SOME):
            database.write(crystal.to_ase(), name=f"c{index}", band_gap=index / 2)
    return path.with_suffix(".db")


def write_trajectory(path):
    ase.io.write(path.with_suffix(".traj"), [crystal.to_ase() for crystal in SOME])
    return path.with_suffix(".traj")


def write_poscars(path):
    for index, crystal in enumerate(SOME):
        (path / f"run{index}").mkdir(parents=True)
        crystal.to_poscar(path / f"run{index}" / "POSCAR")
    return path


def write_output(path):
    """A folder as ``unigen generate`` leaves it."""
    path.mkdir()
    (path / "cif").mkdir()
    SOME[0].to_cif(path / "cif" / "another-copy.cif")
    (path / "samples.extxyz").write_text("".join(crystal.to_extxyz() for crystal in SOME))
    facts = [json.dumps({"id": f"c{index}", "seed": 7}) for index in range(len(SOME))]
    (path / "samples.jsonl").write_text("\n".join(facts) + "\n")
    return path


FORMS = (
    write_cifs,
    write_csv,
    write_extxyz,
    write_jsonl,
    write_pymatgen_json,
    write_npz,
    write_database,
    write_trajectory,
    write_poscars,
    write_output,
)


@pytest.mark.parametrize("write", FORMS, ids=lambda write: write.__name__.removeprefix("write_"))
def test_every_form_gives_the_same_crystals(tmp_path, write):
    rows = list(read_crystal_rows(write(tmp_path / "crystals")))
    assert [row.reason for row in rows] == [""] * len(SOME)
    found = sorted((row.structure.formula, round(row.structure.volume, 3)) for row in rows)
    assert found == sorted((crystal.formula, round(crystal.volume, 3)) for crystal in SOME)
    assert len({row.where for row in rows}) == len(SOME)


@pytest.mark.parametrize("write", [write_csv, write_npz, write_database])
def test_numeric_columns_become_properties(tmp_path, write):
    rows = list(read_crystal_rows(write(tmp_path / "crystals")))
    assert [row.structure.properties for row in rows] == [{"band_gap": index / 2} for index in range(len(SOME))]


def test_ids_are_file_stems_columns_and_fields(tmp_path):
    names = sorted(f"c{index}" for index in range(len(SOME)))
    for write in (write_cifs, write_csv, write_jsonl, write_output):
        assert sorted(row.id for row in read_crystal_rows(write(tmp_path / write.__name__))) == names


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("val", "val"),
        ("mp_20_test", "test"),
        ("mp_20_train_partial", "train"),
        ("mp_20_val_test", "train"),
        ("x", "train"),
    ],
)
def test_split_from_file_name(name, split):
    assert split_from_name(name) == split


def bad_cif(path):
    write_cifs(path)
    (path / "c1a.cif").write_text("data_x\nloop_\n_atom_site_label\n")
    return path


def bad_csv(path):
    file = write_csv(path)
    file.write_text(file.read_text() + "broken,not a cif,0,\nempty,,0,\n")
    return file


def bad_frame(path):
    frames = [crystal.to_extxyz() for crystal in SOME]
    (path.with_suffix(".xyz")).write_text("".join([frames[0], frames[1].replace(".", "!"), *frames[2:]]))
    return path.with_suffix(".xyz")


def bad_lines(path):
    lines = [site_form(crystal) for crystal in SOME]
    lines[1]["sites"][0]["element"] = "Zz"
    lines[2]["lattice"] = [[1, 0, 0], [2, 0, 0], [0, 0, 1]]
    lines[3]["sites"][0]["fractional_coordinates"] = [0, 0, float("nan")]
    lines[4].pop("lattice")
    path.with_suffix(".jsonl").write_text("\n".join(map(json.dumps, lines)) + '\n{"lattice":\n[]\n')
    return path.with_suffix(".jsonl")


def bad_arrays(path):
    close = Crystal(np.array([3, 3]), np.array([[0, 0, 0], [0.01, 0, 0]]), np.eye(3) * 4)
    ragged(path.with_suffix(".npz"), [SOME[0], close, SOME[1]])
    return path.with_suffix(".npz")


@pytest.mark.parametrize(
    ("write", "reasons"),
    [
        (bad_cif, ["c1a.cif: not a readable CIF"]),
        (bad_csv, ["row 7: not a readable CIF", "row 8: the cif field is empty"]),
        (bad_frame, ["frame 2: not a readable extended XYZ frame"]),
        (
            bad_lines,
            [
                "line 2: site 0: unknown species; got Zz",
                "line 3: the cell has no volume",
                "line 4: site 0: coordinates are not finite",
                "line 5: no field 'lattice'",
                "line 7: not JSON",
                "line 8: not a JSON object",
            ],
        ),
        (bad_arrays, ["entry 1: atoms too close; got sites 0 (Li) and 1 (Li) 0.04 A apart"]),
    ],
    ids=["cif", "csv", "extxyz", "jsonl", "npz"],
)
def test_bad_entries_are_named_and_the_rest_is_read(tmp_path, write, reasons):
    rows = list(read_crystal_rows(write(tmp_path / "crystals")))
    bad = [row for row in rows if row.structure is None]
    assert len(bad) == len(reasons)
    for row, said in zip(bad, reasons, strict=True):
        assert said in row.reason
        assert row.reason.startswith(str(tmp_path))
        assert "\n" not in row.reason
    assert sum(row.structure is not None for row in rows) >= 2


def test_every_structure_of_a_cif_is_an_entry_and_a_broken_one_takes_no_other_with_it(tmp_path):
    cifs = [crystal.to_cif(symprec=None) for crystal in SOME[:3]]
    article = "data_global\n_publ_section_title\n;\ndata_of the title\n;\n"
    named = [re.sub(r"data_\S+", f"data_{name}", cif) for name, cif in zip(("x", "x", "y"), cifs, strict=True)]
    (tmp_path / "some.cif").write_text(
        article + "".join(named) + "data_z\nloop_\n_atom_site_label\n_atom_site_fract_x\nNa\n"
    )
    (tmp_path / "one.cif").write_text(article + named[2])
    rows = list(read_crystal_rows(tmp_path))
    assert [row.id for row in rows] == ["one", "some-1", "some-2", "some-y", "some-z"]
    assert [row.structure and row.structure.formula for row in rows] == [
        *(SOME[index].formula for index in (2, 0, 1, 2)),
        None,
    ]
    assert "some.cif data_z (block 4): not a readable CIF; got " in rows[-1].reason


def test_what_is_no_frame_of_an_extxyz_file_has_a_reason_and_the_rest_is_read(tmp_path):
    path = tmp_path / "x.extxyz"
    path.write_text(SOME[0].to_extxyz() + "what?\n" + SOME[1].to_extxyz())
    rows = list(read_crystal_rows(path))
    assert [row.structure is None for row in rows] == [False, True, False]
    assert "no atom count but 'what?'" in rows[1].reason


def test_an_unreadable_file_in_a_folder_is_one_bad_row(tmp_path):
    write_npz(tmp_path / "good")
    (tmp_path / "torn.npz").write_bytes((tmp_path / "good.npz").read_bytes()[:500])
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    (tmp_path / "README.md").write_text("not a structure")
    bad = [row for row in read_crystal_rows(tmp_path) if row.structure is None]
    assert [row.reason.split(": ")[1].split(";")[0] for row in bad] == ["no column 'cif'", "not a readable npz"]


def test_pickled_arrays_are_never_loaded(tmp_path):
    ragged(tmp_path / "evil.npz", SOME, note=np.array([{"a": 1}] * len(SOME), dtype=object))
    with pytest.raises(UserError, match="not a readable npz"):
        list(read_crystal_rows(tmp_path / "evil.npz"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent", None, "no such file or folder"),
        ("empty", "", "no structures in this folder"),
        ("a.csv", "x,y\n", "no column 'cif'"),
        ("a.what", "some words\n", "ASE cannot read it"),
        ("a.json", "{", "not JSON"),
        ("a.parquet", "PAR1", "not a readable Parquet file"),
        ("a.npz", "PK", "not a readable npz"),
    ],
)
def test_an_unreadable_path_is_refused(tmp_path, name, text, said):
    path = tmp_path / name
    if name == "empty":
        path.mkdir()
    elif text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        list(read_crystal_rows(path))
    assert str(path) in str(refused.value)
