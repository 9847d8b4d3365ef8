"""Anyone's molecules are read; a bad entry is a row with a reason, never the end of the stream."""

from __future__ import annotations

import csv
import gzip
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor

from tests.molecules.real_molecules import embedded
from unigen.crystals.crystal import Crystal
from unigen.data.readers.contents import kind_of
from unigen.data.readers.molecules import read_molecule_rows
from unigen.errors import UserError
from unigen.molecules.bonds_of_smiles import with_bonds_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import canonical_smiles
from unigen.sample.requests import read_molecule_requests, read_smiles_file

SMILES = ("CC(=O)O", "C[C@H](N)C(=O)O", "c1ccncc1", "C[N+](C)(C)C")
SOME = tuple(
    replace(embedded(smiles).canonical(), properties={"gap": index / 2}) for index, smiles in enumerate(SMILES)
)


def without_bonds(molecule):
    return Molecule(molecule.numbers, molecule.positions, properties=molecule.properties)


def write_sdf(path):
    text = "".join(molecule.to_sdf(name=f"m{index}") for index, molecule in enumerate(SOME))
    with gzip.open(path.with_suffix(".sdf.gz"), "wt") as file:
        file.write(text)
    return path.with_suffix(".sdf.gz")


def write_mols(path):
    path.mkdir()
    for index, molecule in enumerate(SOME):
        block, fields = molecule.to_sdf().split("M  END\n")
        (path / f"m{index}.mol").write_text(f"m{index}{block}M  END\n{fields}")
    return path


def write_smi(path):
    lines = [f"{smiles} m{index}" for index, smiles in enumerate(SMILES)]
    path.with_suffix(".smi").write_text("SMILES name\n" + "\n".join(lines) + "\n\n")
    return path.with_suffix(".smi")


def write_csv(path):
    with path.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("ID", "SMILES", "gap", "note"))
        table.writerows((f"m{index}", smiles, index / 2, "text") for index, smiles in enumerate(SMILES))
    return path.with_suffix(".csv")


def write_placed_csv(path):
    with path.with_suffix(".csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "smiles", "gap", "Elements", "XYZ_Ang"))
        for index, molecule in enumerate(SOME):
            symbols = "[" + ",".join(f"'{atom.symbol}'" for atom in molecule.to_ase()) + "]"
            places = str(molecule.positions.tolist()).replace("e-", "*^-")
            table.writerow((f"m{index}", molecule.smiles, index / 2, symbols, places))
    return path.with_suffix(".csv")


def write_npz(path):
    np.savez(
        path.with_suffix(".npz"),
        id=np.array([f"m{index}" for index in range(len(SOME))]),
        num_atoms=np.array([len(molecule) for molecule in SOME], dtype=np.uint8),
        atomic_numbers=np.concatenate([molecule.numbers for molecule in SOME]).astype(np.uint8),
        positions=np.concatenate([molecule.positions for molecule in SOME]).astype(np.float32),
        smiles=np.frombuffer("\n".join(molecule.smiles for molecule in SOME).encode(), dtype=np.uint8),
        properties=np.arange(len(SOME))[:, None] / 2,
        property_names=np.array(["gap"]),
    )
    return path.with_suffix(".npz")


def write_extxyz(path):
    path.with_suffix(".extxyz").write_text("".join(molecule.to_extxyz() for molecule in SOME))
    return path.with_suffix(".extxyz")


PLACED = (write_sdf, write_mols, write_placed_csv, write_npz, write_extxyz)


@pytest.mark.parametrize("write", [*PLACED, write_smi, write_csv], ids=lambda write: write.__name__[6:])
def test_every_form_gives_the_same_molecules(tmp_path, write):
    path = write(tmp_path / "some")
    assert kind_of(path) == "molecules"
    rows = list(read_molecule_rows(path))
    assert [row.reason for row in rows] == [""] * len(SOME)
    assert [row.structure.to_smiles() for row in rows] == [canonical_smiles(smiles) for smiles in SMILES]
    assert [row.origin for row in rows] == ["given" if write in PLACED else "ETKDGv3"] * len(SOME)
    if write is not write_extxyz:
        assert [row.id for row in rows] == [f"m{index}" for index in range(len(SOME))]
    if write is not write_smi:
        assert [row.structure.properties for row in rows] == [molecule.properties for molecule in SOME]
    for row, molecule in zip(rows, SOME, strict=True):
        if write in PLACED:
            assert row.structure.positions == pytest.approx(molecule.positions, abs=6e-5)


@pytest.mark.parametrize("smiles", SMILES)
def test_bonds_of_the_smiles_are_found_whatever_the_order_of_hydrogens(smiles):
    molecule = embedded(smiles)
    heavy, hydrogens = np.flatnonzero(molecule.numbers > 1), np.flatnonzero(molecule.numbers == 1)
    mixed = molecule.selected(np.concatenate([hydrogens[::2], heavy, hydrogens[1::2][::-1]]))
    bonded = with_bonds_of(without_bonds(mixed), smiles)
    assert bonded.to_smiles() == molecule.to_smiles()
    assert np.array_equal(bonded.bonds, Molecule.from_rdkit(mixed.to_rdkit()).bonds)
    shuffled = molecule.selected(np.random.default_rng(0).permutation(len(molecule)))
    assert with_bonds_of(without_bonds(shuffled), smiles).to_smiles() == molecule.to_smiles()


@pytest.mark.parametrize("other", ["CC(O)=CO", "OCC=O", "CCO", "C1OCO1"])
def test_positions_of_another_molecule_are_refused(other):
    with pytest.raises(UserError, match=r"the positions are not of the SMILES; got CC\(=O\)O; wanted"):
        with_bonds_of(without_bonds(embedded("CC(=O)O")), other)


def test_a_broken_bond_is_refused():
    molecule = embedded("CC(=O)O")
    pulled = molecule.positions.copy()
    pulled[0] += 3 * (pulled[0] - pulled[1])
    with pytest.raises(UserError, match="the positions are not of the SMILES"):
        with_bonds_of(Molecule(molecule.numbers, pulled), "CC(=O)O")


def bad_sdf(path):
    entries = [molecule.to_sdf(name=f"m{index}") for index, molecule in enumerate(SOME)]
    entries[1] = entries[1].replace("V2000", "V2999")
    path.with_suffix(".sdf").write_text("".join(entries))
    return path.with_suffix(".sdf")


def bad_smi(path):
    path.with_suffix(".smi").write_text("CCO\nC1CC broken\nCC.O water\nCO\n")
    return path.with_suffix(".smi")


def bad_csv(path):
    file = write_placed_csv(path)
    file.write_text(file.read_text() + 'x,CC,0,"[\'Q\']","[[0,0,0]]"\ny,,0,,\nz,C,0,"[\'C\']","[[0,zero,0]]"\n')
    return file


def bad_frame(path):
    frames = [molecule.to_extxyz() for molecule in SOME]
    lattice = Crystal(np.array([29]), np.zeros((1, 3)), np.eye(3) * 3).to_extxyz()
    path.with_suffix(".xyz").write_text("".join([frames[0], "2\n\nC 0 0 0\nC 0 0 0.01\n", lattice, *frames[1:]]))
    return path.with_suffix(".xyz")


@pytest.mark.parametrize(
    ("write", "reasons"),
    [
        (bad_sdf, ["entry 2: not a readable SD entry"]),
        (bad_smi, ["line 2: SMILES 'C1CC': not a SMILES; got unclosed ring", "line 3: SMILES 'CC.O': several fragm"]),
        (bad_csv, ["row 5: unknown element", "row 6: the smiles field is empty", "row 7: positions are not numbers"]),
        (bad_frame, ["frame 2: atoms too close", "frame 3: periodic, so not a molecule"]),
    ],
    ids=["sdf", "smi", "csv", "xyz"],
)
def test_bad_entries_are_named_and_the_rest_is_read(tmp_path, write, reasons):
    rows = list(read_molecule_rows(write(tmp_path / "some")))
    bad = [row.reason for row in rows if row.structure is None]
    assert len(bad) == len(reasons)
    for reason, said in zip(bad, reasons, strict=True):
        assert said in reason
        assert reason.startswith(str(tmp_path))
        assert "\n" not in reason
    assert sum(row.structure is not None for row in rows) >= 2


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("absent.sdf", None, "no such file or folder"),
        ("empty", "", "no molecules in this folder"),
        ("a.csv", "x,y\n", "no column 'smiles'"),
        ("a.what", "some words\n", "not a file of molecules"),
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
        list(read_molecule_rows(path))
    assert str(path) in str(refused.value)


def test_an_unreadable_file_in_a_folder_is_one_bad_row(tmp_path):
    write_smi(tmp_path / "good")
    (tmp_path / "torn.npz").write_bytes(b"PK")
    (tmp_path / "README.md").write_text("not a molecule")
    (bad,) = [row for row in read_molecule_rows(tmp_path) if row.structure is None]
    assert "not a readable npz" in bad.reason


def test_crystals_are_told_from_molecules(tmp_path):
    crystal = Crystal(np.array([29]), np.zeros((1, 3)), np.eye(3) * 3)
    (tmp_path / "a.cif").write_text(crystal.to_cif())
    (tmp_path / "a.xyz").write_text(crystal.to_extxyz())
    (tmp_path / "a.csv").write_text("id,cif,smiles\n")
    assert {kind_of(tmp_path / f"a.{suffix}") for suffix in ("cif", "xyz", "csv")} == {"crystals"}
    assert kind_of(tmp_path) == "crystals"
    (tmp_path / "b.smi").write_text("CCO\n")
    with pytest.raises(
        UserError, match=r"crystals and molecules together; got crystals in a\.cif, molecules in b\.smi"
    ):
        kind_of(tmp_path)


LISTS = {
    "plain.smi": b"CCO ethanol\nCO methanol\n",
    "mark.smi": b"\xef\xbb\xbfCCO ethanol\r\nCO methanol\r\n",
    "comments.smi": b"# what we have\nSMILES Name\nCCO ethanol\n\n# more\nCO methanol\n",
    "tabs.smi": b"SMILES\tName\nCCO\tethanol\nCO\tmethanol\n",
    "swapped.smi": b"Name\tSMILES\nethanol\tCCO\nmethanol\tCO\n",
    "commas.smi": b"CCO,ethanol\nCO,methanol\n",
    "extension.smi": b"CCO |$a;b;c$| ethanol\nCO methanol\n",
    "mark.csv": b"\xef\xbb\xbfSmiles,ID\nCCO,ethanol\nCO,methanol\n",
    "semicolons.csv": b"Name;SMILES\r\nethanol;CCO\r\nmethanol;CO\r\n",
    "utf16.csv": "smiles,name\nCCO,ethanol\nCO,methanol\n".encode("utf-16"),
    "tabs.tsv": b"name\tsmiles\nethanol\tCCO\nmethanol\tCO\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_are_read_alike_to_build_and_to_generate(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(LISTS[name])
    assert kind_of(path) == "molecules"
    assert [(row.id, row.structure.to_smiles()) for row in read_molecule_rows(path)] == [
        ("ethanol", "CCO"),
        ("methanol", "CO"),
    ]
    read = read_smiles_file if path.suffix == ".smi" else read_molecule_requests
    assert [(each.id, canonical_smiles(each.smiles)) for each in read(path)] == [("ethanol", "CCO"), ("methanol", "CO")]


@given(
    names=st.lists(st.text("abcåé", min_size=1, max_size=5), min_size=1, max_size=4),
    coding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "latin-1"]),
)
def test_names_survive_the_encodings_that_are_met(tmp_path_factory, names, coding):
    path = tmp_path_factory.mktemp("lists") / "some.smi"
    path.write_bytes("".join(f"CO {name}\n" for name in names).encode(coding))
    assert [row.id for row in read_molecule_rows(path)] == names


FIELDS = st.dictionaries(st.text("abcXYZ", min_size=1, max_size=4), st.floats(-1e6, 1e6), min_size=1, max_size=4)


@given(fields=FIELDS, blank=st.booleans(), dollars=st.booleans())
def test_no_field_of_an_sd_entry_is_lost(tmp_path_factory, fields, blank, dollars):
    """Whether an empty line ends the last, and whatever a text among them says."""
    block = embedded("CO").to_sdf().split("$$$$")[0].split(">  <")[0]
    texts = [f">  <{name}>\n{value!r}\n\n" for name, value in fields.items()]
    texts = ["> <cost>\n$$$$\n\n", "> <note> (1)\n$$$$ and more\n\n", *texts] if dollars else texts
    entry = "".join([block, *texts]).rstrip("\n") + ("\n\n" if blank else "\n") + "$$$$\n"
    path = tmp_path_factory.mktemp("sdf") / "some.sdf"
    path.write_text(entry * 3)
    rows = list(read_molecule_rows(path))
    kept = {name: value for name, value in fields.items() if name.lower() not in ("id", "name")}
    assert [row.structure.properties for row in rows] == [kept] * 3


WATER = "3\n{}\n{} 0.0 0.0 0.117\n{} 0.0 0.757 -0.471\n{} 0.0 -0.757 -0.471\n"


@given(
    titles=st.lists(
        st.sampled_from(["", "water", "  -8.22714813", "a b=c", "H2O, 3 atoms", "'odd", "frame 3"]),
        min_size=1,
        max_size=4,
    ),
    symbols=st.sampled_from([("O", "H", "H"), ("o", "h", "h"), ("8", "1", "1"), ("O1", "H2", "H3"), ("O", "D", "T")]),
    blank=st.sampled_from(["", "\n", "\n\n"]),
)
def test_frames_are_read_whatever_their_titles_and_symbols(tmp_path_factory, titles, symbols, blank):
    path = tmp_path_factory.mktemp("xyz") / "some.xyz"
    path.write_text(blank.join(WATER.format(title, *symbols) for title in titles))
    rows = list(read_molecule_rows(path))
    assert [row.reason for row in rows] == [""] * len(titles)
    assert all(row.structure.to_smiles() == "O" and row.structure.properties == {} for row in rows)


def test_a_raw_file_of_qm9_is_one_molecule_with_its_properties(tmp_path):
    numbers = "\t".join(str(n / 8) for n in range(15))
    tail = "1341.3\t1562.6\nO\tO\nInChI=1S/H2O/h1H2\tInChI=1S/H2O/h1H2\n"
    frame = WATER.format(f"gdb 3\t{numbers}\t", "O", "H", "H").replace("0.117", "1.17*^-1")
    (tmp_path / "raw.xyz").write_text((frame + tail) * 2)
    rows = list(read_molecule_rows(tmp_path / "raw.xyz"))
    assert [row.structure.to_smiles() for row in rows] == ["O", "O"]
    assert rows[0].structure.properties["gap"] == 7 / 8
    assert len(rows[0].structure.properties) == 15


@pytest.mark.parametrize(("smiles", "flat"), [("C=C", True), ("c1ccccc1", True), ("O", True), ("C", False)])
def test_a_planar_molecule_is_in_space_where_its_hydrogens_say_so(tmp_path, smiles, flat):
    mol = embedded(smiles).to_rdkit()
    centred = mol.GetConformer().GetPositions() - mol.GetConformer().GetPositions().mean(axis=0)
    turned = centred @ np.linalg.svd(centred)[2].T
    mol.GetConformer().SetPositions(turned * [1, 1, 0])
    block = Chem.MolToMolBlock(mol)
    drawing = Chem.Mol(mol)
    rdDepictor.Compute2DCoords(drawing)
    drawn = Chem.MolToMolBlock(drawing).replace("2D", "  ")
    (tmp_path / "some.sdf").write_text(
        f"{block.replace('3D', '  ')}$$$$\n{drawn}$$$$\n{block.replace('3D', '2D')}$$$$\n"
    )
    assert [row.structure is not None for row in read_molecule_rows(tmp_path / "some.sdf")] == [flat, False, False]
