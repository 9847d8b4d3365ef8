"""Molecules: what nature leaves unchanged, exact round trips, and one line for what cannot be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.collections import g2
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import AllChem

from tests.molecules.real_molecules import VARIED, embedded, molecules, nci_smiles, rotations
from unigen.errors import UserError
from unigen.molecules.conformer import embed
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import canonical_smiles
from unigen.molecules.relaxation.force_field import mmff_relaxed
from unigen.molecules.stereoisomers import is_molecule

WAYS = {
    "rdkit": (lambda m: Molecule.from_rdkit(m.to_rdkit()), 0.0),
    "sdf": (lambda m: Molecule.from_sdf(m.to_sdf()), 0.5001e-4),
}


def same_graph(one: Molecule, other: Molecule) -> bool:
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("numbers", "bonds", "charges"))


def facts(mol: Chem.Mol) -> list[tuple]:
    """What RDKit knows of each atom."""
    return [
        (a.GetSymbol(), a.GetFormalCharge(), a.GetNumRadicalElectrons(), a.GetIsAromatic(), str(a.GetChiralTag()))
        for a in mol.GetAtoms()
    ]


@pytest.mark.parametrize("way", WAYS)
@given(molecule=molecules())
def test_round_trips_are_exact(way, molecule):
    there_and_back, tolerance = WAYS[way]
    back = there_and_back(molecule)
    assert same_graph(back, molecule)
    assert np.abs(back.positions - molecule.positions).max() <= tolerance
    assert back.properties == molecule.properties
    assert back.smiles == molecule.smiles
    assert facts(back.to_rdkit()) == facts(molecule.to_rdkit())
    assert back.to_smiles() == molecule.to_smiles()


@given(molecule=molecules())
def test_what_ase_and_extxyz_can_hold_is_kept(molecule):
    back = Molecule.from_ase(molecule.to_ase(), bonds=False)
    assert np.array_equal(back.positions, molecule.positions)
    assert (back.properties, back.smiles) == (molecule.properties, molecule.smiles)
    read = Molecule.from_extxyz(molecule.to_extxyz(), bonds=False)
    for copy in (back, read):
        assert copy.numbers.tolist() == molecule.numbers.tolist()
        assert copy.charges.tolist() == molecule.charges.tolist()
        assert copy.positions == pytest.approx(molecule.positions, abs=1e-8)
        assert copy.properties == pytest.approx(molecule.properties)


@given(molecule=molecules(), data=st.data())
def test_the_order_of_the_atoms_does_not_change_the_molecule(molecule, data):
    order = np.array(data.draw(st.permutations(range(len(molecule)))))
    shuffled = molecule.selected(order)
    assert shuffled.to_smiles() == molecule.to_smiles()
    assert shuffled.formula == molecule.formula
    assert same_graph(shuffled.selected(np.argsort(order)), molecule)


@settings(max_examples=25)
@given(molecule=molecules(), rotation=rotations())
def test_rotation_keeps_the_molecule_and_a_mirror_turns_its_centres_over(molecule, rotation):
    turned = replace(molecule, positions=molecule.positions @ rotation.T + 5.0)
    assert turned.to_smiles() == molecule.to_smiles()
    mirrored = replace(molecule, positions=molecule.positions * [1, 1, -1])
    swapped = molecule.to_smiles().replace("@@", "!").replace("@", "@@").replace("!", "@")
    assert mirrored.to_smiles() == canonical_smiles(swapped)


@pytest.mark.parametrize("smiles", VARIED)
def test_a_conformer_is_of_the_molecule_that_was_asked_for(smiles):
    molecule = embedded(smiles)
    assert molecule.to_smiles() == canonical_smiles(smiles)
    assert molecule.smiles == smiles
    assert molecule.total_charge == Chem.GetFormalCharge(Chem.MolFromSmiles(smiles))
    again = Molecule.from_smiles(smiles)
    assert np.array_equal(again.positions, molecule.positions)


def test_another_seed_gives_another_conformer_of_the_same_molecule():
    one, other = Molecule.from_smiles("CCCCO", seed=0), Molecule.from_smiles("CCCCO", seed=1)
    assert same_graph(one, other)
    assert np.abs(one.positions - other.positions).max() > 0.1


def test_real_molecules_round_trip():
    """Of the NCI's collection; what is refused is refused for a reason that names the SMILES."""
    seen, refused = 0, []
    for smiles in nci_smiles(120):
        try:
            molecule = Molecule.from_smiles(smiles, max_atoms=60)
        except UserError as error:
            refused.append((smiles, str(error)))
            continue
        seen += 1
        for there_and_back, tolerance in WAYS.values():
            back = there_and_back(molecule)
            assert same_graph(back, molecule)
            assert np.abs(back.positions - molecule.positions).max() <= tolerance
            assert facts(back.to_rdkit()) == facts(molecule.to_rdkit())
    assert seen > 90
    assert all(repr(smiles[:80]) in reason for smiles, reason in refused)


def test_a_molecule_that_v2000_has_no_room_for_is_written_as_v3000():
    row = np.arange(1200)
    helium = Molecule(np.full(1200, 2), np.column_stack([row, row % 7, row % 5]) * 1.5)
    bonded = replace(helium, numbers=np.full(1200, 16), bonds=np.column_stack([row[:-1], row[1:], np.ones(1199, int)]))
    text = bonded.to_sdf()
    assert "V3000" in text
    assert same_graph(Molecule.from_sdf(text), bonded)


@pytest.mark.parametrize("name", ["C6H6", "CH3CH2OH", "C5H8", "HCOOH", "bicyclobutane", "C4H4O"])
def test_bonds_from_distances(name):
    molecule = Molecule.from_ase(g2[name])
    perceived = Molecule.from_xyz(molecule.to_xyz())
    assert same_graph(molecule, perceived)
    assert molecule.to_rdkit().GetNumBonds() == len(molecule.bonds) > 0
    assert molecule.total_charge == 0


DISTANT = ("O=[N+]([O-])c1ccccc1", "CN(C)C=O", "C[N+](C)(C)CC(=O)[O-]", "N#[N+]c1ccccc1", "C[NH3+]", "[O-]c1ccccc1")


@settings(max_examples=40)
@given(smiles=st.sampled_from(DISTANT), data=st.data())
def test_bonds_from_distances_do_not_depend_on_the_order_of_the_atoms(smiles, data):
    """RDKit's DetermineBonds alone finds nitrobenzene in some orders of its atoms, and nothing in others."""
    molecule = embedded(smiles)
    order = np.array(data.draw(st.permutations(range(len(molecule)))))
    shuffled = replace(molecule.selected(order), bonds=np.zeros((0, 3), dtype=int), charges=np.zeros(len(order), int))
    bonded = shuffled.with_bonds(molecule.total_charge)
    assert bonded.to_smiles() == molecule.with_bonds(molecule.total_charge).to_smiles() == canonical_smiles(smiles)
    assert bonded.total_charge == molecule.total_charge


def test_bonds_from_distances_need_the_right_charge():
    positions = embedded("[NH4+]").positions
    with pytest.raises(UserError, match=r"no bonds fit the positions.*without charge.*bonds=False") as refused:
        Molecule.from_ase(Atoms("NH4", positions))
    assert "\n" not in str(refused.value)
    assert Molecule.from_ase(Atoms("NH4", positions), charge=1).to_smiles() == "[NH4+]"
    assert len(Molecule.from_ase(Atoms("NH4", positions), bonds=False).bonds) == 0
    assert Molecule.from_extxyz(embedded("[NH4+]").to_extxyz()).charges.tolist() == [1, 0, 0, 0, 0]
    assert Molecule.from_ase(Atoms("Na"), charge=1).to_smiles() == "[Na+]"


def test_perceiving_bonds_ends():
    """Without a bound this takes longer than a lifetime."""
    zigzag = np.array([[1.25 * index, 0.7 * (index % 2), 0.0] for index in range(30)])
    with pytest.raises(UserError, match="none found among 20,000 sets of valences"):
        Molecule.from_ase(Atoms("N30", zigzag))


def test_hydrogens_follow_their_parents():
    molecule = embedded("C[C@H](N)C(=O)O")
    shuffled = molecule.selected(np.random.default_rng(3).permutation(len(molecule)))
    ordered = shuffled.heavy_first()
    heavy = int((ordered.numbers > 1).sum())
    assert (ordered.numbers[:heavy] > 1).all()
    assert (ordered.numbers[heavy:] == 1).all()
    parents = [first for first, second, _ in ordered.bonds if second >= heavy]
    assert len(parents) == len(ordered) - heavy
    by_hydrogen = sorted((second, first) for first, second, _ in ordered.bonds if second >= heavy)
    assert [parent for _, parent in by_hydrogen] == sorted(parents)
    assert ordered.to_smiles() == molecule.to_smiles()
    assert np.array_equal(ordered.numbers[:heavy], shuffled.numbers[shuffled.numbers > 1])
    assert embedded("[H][H]").heavy_first().numbers.tolist() == [1, 1]


def test_fragments():
    pair = Chem.CombineMols(embedded("CCO").to_rdkit(), embedded("[Na+]").to_rdkit())
    conformer = pair.GetConformer()
    conformer.SetAtomPosition(pair.GetNumAtoms() - 1, [9.0, 9.0, 9.0])
    both = Molecule.from_rdkit(pair)
    assert both.fragments.tolist() == [0] * 9 + [1]
    assert both.largest_fragment().to_smiles() == "CCO"
    assert both.total_charge == 1
    assert both.to_smiles() == "CCO.[Na+]"
    with pytest.raises(UserError, match=r"several fragments; got 2; .*--largest-fragment"):
        both.checked(connected=True)
    assert Molecule.from_smiles("CCO.[Na+]", largest_fragment=True).to_smiles() == "CCO"


def test_formula_and_counts():
    molecule = embedded("CC(=O)Oc1ccccc1C(=O)O")
    assert molecule.formula == "C9H8O4"
    assert molecule.counts == {1: 8, 6: 9, 8: 4}
    assert Molecule(np.array([8, 1, 1]), np.eye(3)).formula == "H2O"
    assert embedded("F[C@](Cl)(Br)I").formula == "CBrClFI"


@pytest.mark.parametrize(
    "smiles",
    [
        "C1C[C@H]2O[C@@H]12",
        "C[C@]12O[C@H]1[C@@H](O)C2=O",
        "CC[C@H]1C[C@H]2[C@@H](OC)[C@@H]12",
        "NC(=O)[C@]12C[C@H]1[C@H]1C[C@H]12",
        "CCC[C@H]1[C@H]2NC(=O)[C@@H]12",
    ],
)
def test_small_rings_that_share_an_edge_are_embedded_with_the_stereo_that_is_said(smiles):
    """RDKit refuses their centres, which lie outside of their neighbours' tetrahedra."""
    for text in (smiles, smiles.replace("@@", "#").replace("@", "@@").replace("#", "@")):
        for seed in (0, 1):
            molecule = Molecule.from_smiles(text, seed=seed)
            assert is_molecule(molecule.to_rdkit(), text)
            assert not fault_of(mmff_relaxed(molecule)[0])


@pytest.mark.parametrize(
    ("smiles", "said"),
    [
        ("C1CC", "SMILES 'C1CC': not a SMILES; got unclosed ring"),
        ("C(C", "got extra open parentheses at character 2"),
        ("CC)C", "got extra close parentheses at character 3"),
        ("CC[Xx]", "got syntax error at character 4"),
        ("CN(C)(C)C", "got Explicit valence for atom # 1 N, 4, is greater than permitted"),
        ("c1cccc1", "got Can't kekulize mol"),
        ("", "SMILES '': not a SMILES; wanted one word"),
        ("CC CC", "not a SMILES; wanted one word"),
        ("[Na+].[Cl-]", r"SMILES '\[Na\+\]\.\[Cl-\]': several fragments; got 2; .*--largest-fragment"),
        ("C*", "atom 1: unknown element; got 0"),
        ("C1C#CC1", "no conformer found; got 40 tries"),
    ],
)
def test_a_smiles_that_cannot_be_used_is_one_line(smiles, said, capfd):
    with pytest.raises(UserError, match=said) as refused:
        Molecule.from_smiles(smiles)
    assert "\n" not in str(refused.value)
    assert capfd.readouterr() == ("", "")


def test_limits_are_said_before_any_work():
    with pytest.raises(UserError, match="SMILES 'CCO': too many atoms; got 9; wanted at most 8"):
        Molecule.from_smiles("CCO", max_atoms=8)
    with pytest.raises(UserError, match="elements that may not occur; got O; wanted some of H C"):
        Molecule.from_smiles("CCO", elements=(1, 6))


GOOD = {"numbers": np.array([6, 8]), "positions": np.array([[0.0, 0, 0], [0, 0, 1.2]])}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"positions": np.array([[0.0, 0, 0], [0, 0, np.nan]])}, "atom 1: coordinates are not finite"),
        ({"numbers": np.array([6, 0])}, "atom 1: unknown element; got 0"),
        ({"numbers": np.array([6, 119])}, "atom 1: unknown element; got 119"),
        ({"bonds": np.array([[0, 0, 1]])}, r"not a bond; got \[0, 0, 1\]"),
        ({"bonds": np.array([[0, 2, 1]])}, "not a bond"),
        ({"bonds": np.array([[0, 1, 4]])}, "not a bond.*order of 1, 2 or 3"),
        ({"bonds": np.array([[0, 1, 1], [1, 0, 2]])}, "a pair of atoms has two bonds"),
    ],
)
def test_arrays_that_are_no_molecule_are_refused(change, said):
    with pytest.raises(UserError, match=said):
        Molecule(**{**GOOD, **change})


def test_refused_from_rdkit():
    flat = Chem.AddHs(Chem.MolFromSmiles("CC"))
    with pytest.raises(UserError, match=r"no conformer; Molecule\.from_smiles"):
        Molecule.from_rdkit(flat)
    AllChem.Compute2DCoords(flat)
    with pytest.raises(UserError, match="drawn in two dimensions"):
        Molecule.from_rdkit(flat)
    with pytest.raises(UserError, match=r"atom 0 \(C\): hydrogens are missing; got 3 implied"):
        Molecule.from_rdkit(Chem.MolFromSmiles("CC"))
    dative = Chem.AddHs(Chem.MolFromSmiles("[NH3]->[Cu]"))
    embed(dative, 0)
    with pytest.raises(UserError, match="a bond of unknown kind; got dative"):
        Molecule.from_rdkit(dative)


def test_refused_to_rdkit():
    with pytest.raises(UserError, match=r"the bonds are not known.*with_bonds\(\)"):
        Molecule(**GOOD).to_smiles()
    methane = embedded("C[CH2]")
    crowded = replace(methane, bonds=np.vstack([methane.bonds, [[2, 3, 3]]]))
    with pytest.raises(UserError, match="RDKit does not accept the molecule; got Explicit valence"):
        crowded.to_rdkit()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x\n\n\nbad\n", "the text: not a readable SD entry; got Counts line too short"),
        ("2\n\nC 0 0 0\nC 0 0 0.01\n", "the text: not a readable SD entry"),
    ],
)
def test_refused_sdf(text, said, capfd):
    with pytest.raises(UserError, match=said):
        Molecule.from_sdf(text)
    assert capfd.readouterr() == ("", "")


def test_refused_xyz(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("2\n\nC 0 0 0\nC 0 0 0.01\n")
    with pytest.raises(UserError, match=r"a\.xyz: atoms too close; got atoms 0 \(C\) and 1 \(C\) 0.01 A apart"):
        Molecule.from_xyz(path)
    with pytest.raises(UserError, match="not a readable XYZ frame"):
        Molecule.from_xyz("2\n\nC 0 0 zero\nC 0 0 1\n")
    with pytest.raises(UserError, match="periodic, so not a molecule"):
        Molecule.from_xyz('1\nLattice="3 0 0 0 3 0 0 0 3"\nC 0 0 0\n')
    with pytest.raises(UserError, match=r"absent\.sdf: cannot be read"):
        Molecule.from_sdf(tmp_path / "absent.sdf")


def test_files_are_written(tmp_path):
    molecule = embedded("CCO")
    assert molecule.to_sdf(tmp_path / "a.sdf", name="ethanol") == (tmp_path / "a.sdf").read_text()
    assert (tmp_path / "a.sdf").read_text().startswith("ethanol\n")
    assert molecule.to_xyz(tmp_path / "a.xyz") == (tmp_path / "a.xyz").read_text()
    assert same_graph(Molecule.from_sdf(tmp_path / "a.sdf"), molecule)
    assert Molecule.from_xyz(tmp_path / "a.xyz").to_smiles() == "CCO"
