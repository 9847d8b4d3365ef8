"""One kind of argument everywhere: whatever holds structures is taken, and samples are given."""

from __future__ import annotations

import ase.build
import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

import unigen as ug
from tests.crystals.real_crystals import prototypes
from unigen.api.structures import samples_of
from unigen.energies.hull.build import build_from_energies
from unigen.energies.relaxed_crystals import relax as relax_one
from unigen.errors import UserError

EMT = {"potential": "ase.calculators.emt:EMT", "energy_scheme": "EMT", "workers": 1}

COPPER = ug.Crystal.from_ase(ase.build.bulk("Cu", "fcc", a=3.7))
OTHER = ug.Crystal.from_ase(ase.build.bulk("Cu", "bcc", a=2.9))


def ethanol() -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


@pytest.mark.parametrize(
    "given",
    [COPPER, COPPER.to_pymatgen(), COPPER.to_ase(), ethanol(), ase.build.molecule("H2O")],
    ids=["crystal", "pymatgen", "ase", "rdkit", "ase molecule"],
)
def test_one_structure_in_one_sample_out(given):
    samples, single = samples_of(given)
    assert single
    assert len(samples) == 1
    several, one = samples_of([given, given])
    assert not one
    assert len(several) == 2
    assert {each.request_index for each in several if samples.kind == "crystals"} <= {0}


def test_what_has_no_name_is_called_by_its_place_in_the_list():
    (named,) = ug.generate("NaCl", z=1, n=1, steps=4, score=False)
    parts = [COPPER.to_pymatgen(), named, OTHER.to_ase(), [COPPER, OTHER], COPPER]
    names = ["structure-0", "NaCl", "structure-2", "structure-3-0", "structure-3-1", "structure-4"]
    assert [each.request.id or each.request.formula for each in samples_of(parts)[0]] == names
    assert [each.request.id for each in samples_of(parts[:1] + parts[2:3])[0]] == ["structure-0", "structure-1"]


def test_files_folders_and_runs(tmp_path):
    for place, crystal in enumerate(prototypes(3)):
        crystal.to_cif(tmp_path / f"c{place}.cif")
    (tmp_path / "torn.cif").write_text("data_torn\n")
    samples, _ = samples_of(tmp_path)
    assert [each.request.id for each in samples] == ["c0", "c1", "c2", "torn"]
    assert samples[3].structure is None
    assert "torn.cif" in samples[3].reason
    both, _ = samples_of([tmp_path / "c0.cif", str(tmp_path / "c1.cif")])
    assert [each.request.id for each in both] == ["c0", "c1"]
    with pytest.raises(UserError, match="no such file or folder"):
        samples_of(tmp_path / "none.cif")
    with pytest.raises(UserError, match=r"no run folder.*wanted run\.yaml"):
        ug.open_run(tmp_path)


@pytest.mark.parametrize(("given", "message"), [(3, "no structure; got int"), ([], "an empty list"), ([3], "got int")])
def test_what_is_none_is_said(given, message):
    with pytest.raises(UserError, match=message):
        samples_of(given)
    with pytest.raises(UserError, match="crystals and molecules together"):
        samples_of([ug.generate(smiles="C", steps=4), COPPER])


def test_relaxed_ones_are_samples_with_their_energies(monkeypatch, tmp_path):
    samples = ug.relax([OTHER, COPPER], **EMT)
    assert [round(each.facts["energy_above_lowest"], 3) for each in samples] == [pytest.approx(0.033, abs=2e-3), 0.0]
    assert [each.facts["outcome"] for each in samples] == ["converged", "converged"]
    assert samples[1].structure.volume < COPPER.volume
    one = ug.relax(COPPER.to_pymatgen(), **EMT)
    assert one.facts["energy_per_atom"] == pytest.approx(samples[1].facts["energy_per_atom"])
    # with a folder: what the command line writes, and gone on with
    ug.relax([OTHER, COPPER], out=tmp_path / "relaxed", top=1, **EMT, page=False)
    assert (tmp_path / "relaxed/top/cif/01-structure-1__1.cif").exists()
    monkeypatch.setattr("unigen.energies.relaxed_crystals.relax", lambda *_: relax_one and pytest.fail("again"))
    again = ug.relax([OTHER, COPPER], out=tmp_path / "relaxed", **EMT, page=False)
    assert [each.facts for each in again] == [each.facts for each in samples]


def test_what_cannot_be_relaxed_is_counted_and_named():
    impossible = ug.Crystal(np.array([29, 29]), np.array([[0.0, 0, 0], [0.05, 0, 0]]), 3 * np.eye(3))
    with pytest.warns(UserWarning, match="1 of 2 not relaxed; the first: gated: before"):
        samples = ug.relax([COPPER, impossible], **EMT)
    assert samples[1].structure is None


def test_answers_are_ranked_the_lowest_first_and_likes_are_no_failures():
    answers = ug.rank([OTHER, COPPER, COPPER], by="energy", **EMT)
    assert [each.ranking["rank"] for each in answers] == [1, 2]
    assert answers[0].structure.space_group().number == 225
    with pytest.warns(UserWarning, match="only 2 distinct"):
        three = ug.rank([OTHER, COPPER, COPPER], by="energy", n=3, **EMT)
    assert [each.structure is None for each in three] == [False, False, True]


def test_molecules_are_predicted_and_judged():
    samples = ug.predict([ug.Molecule.from_smiles("CCO"), ethanol()])
    assert samples[0].facts["gap_predicted"] == pytest.approx(0.33, abs=0.03)
    report = ug.evaluate(samples, workers=1)
    assert report["rdkit.valid"] == 1.0
    with pytest.raises(UserError, match="this predictor is of molecules; got crystals"):
        ug.predict(COPPER, "unigen-qm9-predictor")
    with pytest.raises(UserError, match="of crystals; got molecules"):
        ug.evaluate(samples, "x", "csp")


def test_what_is_predicted_is_of_one_kind_and_what_is_left_out_is_counted(tmp_path):
    with pytest.raises(UserError, match="crystals and molecules together"):
        ug.predict([COPPER, ug.Molecule.from_smiles("CCO")])
    COPPER.to_cif(tmp_path / "copper.cif")
    (tmp_path / "broken.cif").write_text("data_broken\n_cell_length_a 3\n")
    with pytest.warns(UserWarning, match="1 not read of 2 structures: .*broken.cif: not a readable CIF"):
        found = ug.predict(tmp_path)
    assert {"band_gap_predicted", "band_gap_error"} <= {*found[1].facts}


def test_crystals_are_judged_whatever_they_are(tmp_path):
    crystals = list(prototypes(4))
    in_memory = ug.evaluate([crystal.to_pymatgen() for crystal in crystals], workers=1)
    for place, crystal in enumerate(crystals):
        crystal.to_cif(tmp_path / f"{place}.cif")
    assert len(repr(in_memory)) < 1000
    assert str(in_memory).startswith("Protocol denovo-cdvae 1.2: samples\n")
    low, high = (f"{100 * bound:.2f} %" for bound in (in_memory.metrics["valid"].low, in_memory.metrics["valid"].high))
    assert f"  valid: {100 * in_memory['valid']:.2f} % ({low} - {high})\n" in str(in_memory)
    assert f"<td>{low} - {high}</td>" in in_memory._repr_html_()
    assert in_memory._repr_html_().count("<tr>") == 1 + len(in_memory.first_metrics)
    assert in_memory["valid"] == ug.evaluate(tmp_path, workers=1)["valid"]
    samples = ug.generate("NaCl", z=1, n=2, steps=4, score=False)
    report = ug.evaluate(samples, [ug.generate("NaCl", z=1, steps=4, score=False)[0]], "csp", workers=1)
    assert report["match_rate.k1"] == 1.0
    judged = ug.evaluate([COPPER], relax=1, **EMT)
    assert judged["relaxed_converged"] == 1.0


def test_a_script_without_a_guard_is_run_once(tmp_path):
    """Workers do not run the script of the user again."""
    import subprocess
    import sys

    (tmp_path / "script.py").write_text(
        "import unigen\n"
        "from tests.crystals.real_crystals import prototypes\n"
        "print('begins')\n"
        "print(unigen.evaluate(list(prototypes(4)), workers=2)['valid'])\n"
    )
    done = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("begins") == 1


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A hull of EMT's energies of two elements and their compound."""
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    (tmp_path / "known.csv").write_text("formula,e\nCu,-0.006\nAu,0.003\nCuAu,-0.1\n")
    build_from_energies("known", [str(tmp_path / "known.csv")], energy="e", quantity="total", scheme="EMT")
    return "known"


def test_a_crystal_is_above_the_hull_by_what_it_is_above_the_phases_of_it(known):
    """Relaxed before or not; the hull's energy of an element is that of its lowest phase."""
    relaxed = ug.relax([OTHER, COPPER], **EMT)
    judged = ug.hull([OTHER, COPPER], known, **EMT)
    assert [each.facts for each in ug.hull(relaxed, known, **EMT)] == [each.facts for each in judged]
    for sample in judged:
        assert sample.facts["hull"] == known
        assert sample.facts["above_hull"] == pytest.approx(sample.facts["energy_per_atom"] - -0.006, abs=1e-9)
    # of one composition, the distances are those of the energies, whatever the hull is
    above, energy = ([each.facts[name] for each in judged] for name in ("above_hull", "energy_per_atom"))
    assert above[0] - above[1] == pytest.approx(energy[0] - energy[1], abs=1e-9)
    one = ug.hull(COPPER.to_pymatgen(), known, **EMT)
    assert one.facts["above_hull"] == pytest.approx(above[1], abs=1e-9)


def test_what_a_hull_cannot_tell_is_no_number(known, monkeypatch):
    added = "no energy of the element Ag; build it anew with the element: unigen hull build known --from DATASET"
    with pytest.warns(
        UserWarning, match=f"^1 of 2 have no energy above the hull known; the first: the hull has {added}"
    ):
        judged = ug.hull([COPPER, ase.build.bulk("Ag")], known, **EMT)
    assert [each.facts["above_hull"] is None for each in judged] == [False, True]
    with pytest.warns(UserWarning, match="^1 of 1 have no energy"):
        silver = ug.hull(judged[1], known, **EMT)
    assert silver.facts["above_hull"] is None
    assert "Ag" in silver.facts["hull_reason"]
    monkeypatch.setattr("unigen.api.relaxation.relax", lambda *_, **__: pytest.fail("relaxed before it was refused"))
    with pytest.raises(UserError, match="a hull is of crystals; got molecules"):
        ug.hull(ethanol(), known, **EMT)
    with pytest.raises(UserError, match="no-such"):
        ug.hull(COPPER, "no-such", **EMT)
