"""Requests for molecules to molecules: what was asked for holds for every sample that is kept."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rdkit import Chem

from tests.models.small_molecules import molecules, small_molecule_model
from unigen import CrystalRequest, MoleculeRequest, UserError, generate
from unigen.elements import hill_formula
from unigen.models.generator import Candidate, Job
from unigen.models.smiles import generator as molecule_generator
from unigen.models.smiles.conformer_decoding import DrawnConformer
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.jobs import Scaffold
from unigen.models.smiles.settings import MoleculeSettings
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.runs.generation import remarks
from unigen.smiles.text import smiles_symbols

SETTINGS = MoleculeSettings(steps=3)


def generator(**changes) -> MoleculeGenerator:
    return MoleculeGenerator(small_molecule_model(), "small", settings=replace(SETTINGS, **changes))


def draw(request: MoleculeRequest, count: int = 1, **changes) -> list[Candidate[Molecule]]:
    return generator(**changes).draw([Job(request, 0, index, 3) for index in range(count)])


@pytest.fixture
def perfect(monkeypatch):
    """A model that places every atom of aspirin and alanine where it belongs: mirrored at the first trial."""
    known = {Chem.MolToSmiles(Chem.RemoveHs(m.to_rdkit()), isomericSmiles=False): m for m in molecules()}
    trials = []

    def drawn(model, writings, settings):
        trials.append(len(writings))
        found = []
        for writing in writings:
            text = molecule_generator.read_smiles(writing.symbols)
            plain = real_draw(model, [writing], settings)[0].molecule
            smiles = Chem.MolToSmiles(Chem.RemoveHs(_flat(plain)), isomericSmiles=False)
            real = known[smiles]
            sign = [1, 1, -1 if len(trials) == 1 else 1]
            placed = replace(real, positions=real.positions * sign, smiles="")
            found.append(DrawnConformer(placed))
            assert text.skeleton.counts == real.counts
        return found

    real_draw = molecule_generator.draw_conformers
    monkeypatch.setattr(molecule_generator, "draw_conformers", drawn)
    return trials


@pytest.fixture
def unjudged(monkeypatch):
    """What a small untrained model draws is broken: graphs and fixed atoms are looked at, not distances."""
    monkeypatch.setattr(molecule_generator, "fault_of", lambda molecule: "")


def _flat(molecule: Molecule) -> Chem.Mol:
    mol = molecule.to_rdkit()
    Chem.RemoveStereochemistry(mol)
    return mol


@pytest.mark.usefixtures("unjudged")
def test_de_novo_molecules_and_those_of_a_formula():
    for draft in draw(MoleculeRequest(), 4):
        assert isinstance(draft.structure, Molecule)
        assert draft.structure.to_smiles()
    for draft in draw(MoleculeRequest(formula="C3H7NO"), 4):
        assert hill_formula(draft.structure.counts) == "C3H7NO"


def test_another_stereo_is_dropped_and_drawn_again(perfect):
    (draft,) = draw(MoleculeRequest(smiles="C[C@H](N)C(=O)O"))
    assert draft.structure.to_smiles() == Chem.CanonSmiles("C[C@H](N)C(=O)O")
    assert draft.source == {"redraws": 1}
    assert perfect == [1, 1]


def test_when_every_draw_has_another_stereo_the_reason_is_kept(perfect):
    (draft,) = draw(MoleculeRequest(smiles="C[C@H](N)C(=O)O"), redraws=0)
    assert draft.structure is None
    assert "another stereo; got C[C@@H](N)C(=O)O" in draft.reason


@pytest.mark.parametrize(
    "request_",
    [
        MoleculeRequest(smiles="CC(=O)Oc1ccccc1C(=O)O"),
        MoleculeRequest(formula="C3H7NO"),
        MoleculeRequest(),
        MoleculeRequest(scaffold=molecules()[4].to_sdf()),
    ],
    ids=["smiles", "formula", "nothing", "scaffold"],
)
def test_what_a_small_untrained_model_draws_is_broken_and_said_to_be(request_):
    """On whatever way it was asked for; what is kept is sound."""
    drafts = draw(request_, 4, redraws=1, repairs=0, settle=False)
    assert any(draft.structure is None for draft in drafts)
    for draft in drafts:
        assert draft.reason.startswith("broken; got ") if draft.structure is None else not fault_of(draft.structure)


def test_clean_up_is_marked(perfect):
    (draft,) = draw(MoleculeRequest(smiles="C[C@H](N)C(=O)O"), relax="mmff")
    assert str(draft.source["relaxed"]).startswith("mmff94")


@pytest.mark.usefixtures("unjudged")
@pytest.mark.parametrize("core", [4, 6])
def test_a_scaffold_stays_where_it_is(core):
    scaffold = molecules()[core]
    drafts = draw(MoleculeRequest(scaffold=scaffold.to_sdf()), 6)
    heavy = scaffold.numbers > 1
    for draft in drafts:
        molecule = draft.structure
        assert molecule is not None, draft.reason
        assert (molecule.numbers > 1).sum() > heavy.sum()
        distance = np.linalg.norm(molecule.positions[:, None] - scaffold.positions[heavy], axis=-1).min(axis=0)
        assert distance.max() < 1e-3
        assert molecule.to_rdkit().HasSubstructMatch(Chem.RemoveHs(_flat(scaffold)))
        kept = np.linalg.norm(molecule.positions[:, None] - scaffold.positions[~heavy], axis=-1).min(axis=0) < 1e-3
        assert kept.sum() >= (~heavy).sum() - 3  # those of the atom that was added to may move


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (MoleculeRequest(smiles="CC("), "not a SMILES"),
        (MoleculeRequest(smiles="CCO.CC"), "--largest-fragment"),
        (MoleculeRequest(smiles="C[Si](C)(C)C"), "elements that may not occur"),
        (MoleculeRequest(smiles="C" * 30), "too many atoms"),
        (MoleculeRequest(properties={"mass": 1.0}), "does not know the property 'mass'"),
        (MoleculeRequest(formula="C12H26"), "number of heavy atoms"),
        (MoleculeRequest(formula="CH5"), "no molecule of these atoms"),
        (MoleculeRequest(scaffold="no\nsense\n"), "not a readable SD entry"),
    ],
)
def test_what_it_cannot_serve_fails_with_a_reason(request_, says):
    (draft,) = draw(request_)
    assert draft.structure is None
    assert says in draft.reason


def test_the_largest_fragment_is_taken_when_asked_for():
    resolver = generator().resolver
    resolved = resolver.resolve(0, Job(MoleculeRequest(smiles="CCO.CCCCN", largest_fragment=True), 0, 0, 0))
    assert resolved.skeleton.counts == {1: 11, 6: 4, 7: 1}


def test_a_scaffold_as_large_as_any_molecule_is_refused():
    (draft,) = draw(MoleculeRequest(scaffold=molecules()[0].to_sdf()))
    assert "wanted at most 8" in draft.reason
    tetrafluoride = Molecule.from_smiles("FC(F)(F)F")
    with pytest.raises(UserError, match="nothing can be added"):
        Scaffold.of(tetrafluoride, generator().resolver.grammar(None))


def test_values_are_said_with_units_and_those_beyond_the_data_are_warned_of():
    said = remarks(generator(), MoleculeRequest(properties={"gap": 0.9}))
    assert said == ["warning: gap 0.9 hartree lies outside of the training data: 0.1 to 0.6 hartree"]
    assert remarks(generator(), MoleculeRequest(properties={"gap": 0.2})) == [
        "gap 0.2 hartree (training data: 0.1 to 0.6 hartree)"
    ]


@pytest.mark.usefixtures("unjudged")
def test_generate_takes_molecules_and_refuses_what_the_model_does_not_make():
    samples = generate([MoleculeRequest(), MoleculeRequest(formula="CH4O")], n=2, model=generator(), seed=1)
    assert [(sample.request_index, sample.index) for sample in samples] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert samples[2].structure.formula == "CH4O"
    again = generate([MoleculeRequest(), MoleculeRequest(formula="CH4O")], n=2, model=generator(), seed=1)
    np.testing.assert_array_equal(again[0].structure.positions, samples[0].structure.positions)
    with pytest.raises(UserError, match="makes molecules"):
        generate(CrystalRequest(formula="NaCl"), model=generator())


@pytest.mark.parametrize("other", [{"formula": "CH4"}, {"scaffold": "x"}])
def test_a_smiles_leaves_nothing_else_to_be_asked_for(other):
    with pytest.raises(UserError, match="exclude each other"):
        MoleculeRequest(smiles="C", **other)


def test_what_is_written_larger_than_the_model_is_drawn_again_or_said(monkeypatch):
    """Decane has ten heavy atoms, as many as the grammar allows here, and more atoms than there are labels for."""
    monkeypatch.setattr(molecule_generator.MoleculeGenerator, "_write", lambda self, jobs, *_: [decane] * len(jobs))
    decane = smiles_symbols("CCCCCCCCCC")
    (draft,) = draw(MoleculeRequest(), redraws=1)
    assert draft.structure is None
    assert draft.reason == "written: too many atoms; got 32; wanted at most 24"
