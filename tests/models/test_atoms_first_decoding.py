"""Drawing atoms-first reads what training reads, writes only molecules, and places the atoms of a given SMILES."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from tests.models.small_molecules import molecules, small_molecule_model
from unigen import MoleculeRequest, UserError
from unigen.models.generator import Job
from unigen.models.smiles.atoms_first import atoms_first, partial_sequence
from unigen.models.smiles.atoms_first_decoding import PartialMolecule, draw_atoms_first
from unigen.models.smiles.batch import collate_molecules
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.smiles.tokens import MoleculeSequence, encode
from unigen.molecules.rdkit_smiles import kekule_smiles, without_stereo
from unigen.smiles.grammar import SmilesGrammar
from unigen.smiles.text import smiles_symbols
from unigen.tokens import vocabulary
from unigen.tokens.sequence import Channel

SETTINGS = MoleculeSettings(steps=2)


def model():
    return small_molecule_model(layout="atoms-first")


@torch.no_grad()
def states(sequence: MoleculeSequence) -> torch.Tensor:
    batch = collate_molecules([sequence])
    frames = model().frames(batch, torch.arange(batch.numbers.shape[1])[None])
    return model().states(batch, frames.local(batch.positions), frames)[0][0]


@settings(max_examples=12)
@given(st.integers(0, len(molecules()) - 1), st.integers(0, 2**31), st.data())
def test_a_beginning_is_read_as_in_the_whole_molecule(place, seed, data):
    """So what was learned of whole molecules holds for those that are being drawn."""
    whole = atoms_first(encode(molecules()[place], np.random.default_rng(seed), stereo=False))
    together = states(whole)
    atom = data.draw(st.integers(0, len(whole.numbers) - 1))
    slot, heavy = int(whole.slot[atom]), int((whole.numbers > 1).sum())
    symbols, is_symbol = whole.tokens.symbols[:slot], whole.tokens.channel[:slot] == Channel.SYMBOL
    written = symbols[is_symbol & (symbols != vocabulary.SLOT)][1:].tolist()
    ended = atom >= heavy
    cut = partial_sequence(
        written[:-1] if ended else written, list(whole.positions[:atom]), {}, ended=ended, placing=True
    )
    torch.testing.assert_close(states(cut)[:slot], together[:slot], atol=1e-4, rtol=0)
    if not ended:  # and before PLACE is written
        before = partial_sequence(written, list(whole.positions[:atom]), {}, ended=False, placing=False)
        torch.testing.assert_close(states(before)[: slot - 1], together[: slot - 1], atol=1e-4, rtol=0)


def test_losses_reach_place_and_every_symbol():
    batch = collate_molecules([atoms_first(encode(m, np.random.default_rng(0), stereo=False)) for m in molecules()])
    losses = model().losses(batch, torch.Generator().manual_seed(0))
    assert all(torch.isfinite(loss) for loss in losses.values())
    head = model().symbol_head.to_logits
    (gradient,) = torch.autograd.grad(losses["symbol"], head.bias)
    seen = batch.tokens.symbols[(batch.tokens.channel == Channel.SYMBOL) & (batch.tokens.symbols > 0)].unique()
    drawn = [symbol for symbol in seen.tolist() if symbol != vocabulary.BEGIN]
    assert vocabulary.SLOT in drawn
    assert (gradient[drawn] < gradient[[s for s in range(len(gradient)) if s not in drawn]].min()).any()


@pytest.mark.parametrize("formula", [None, {6: 3, 1: 7, 7: 1, 8: 1}])
def test_what_is_written_is_a_molecule(formula):
    rows = [
        PartialMolecule.de_novo(SmilesGrammar(formula=formula), {}, np.random.default_rng(seed)) for seed in range(12)
    ]
    for molecule in draw_atoms_first(model(), rows, SETTINGS):
        assert Chem.MolFromSmiles(molecule.smiles) is not None
        assert molecule.to_rdkit().GetNumAtoms() == len(molecule)
        if formula:
            assert molecule.counts == dict(sorted(formula.items()))


def test_a_smiles_that_is_given_is_kept_and_rows_do_not_mix():
    texts = [kekule_smiles(without_stereo(molecule.to_smiles())) for molecule in molecules() if len(molecule) > 5]
    rows = [
        PartialMolecule.conformer(smiles_symbols(text), {}, np.random.default_rng(n)) for n, text in enumerate(texts)
    ]
    drawn = draw_atoms_first(model(), rows, SETTINGS)
    assert [molecule.smiles for molecule in drawn] == texts
    alone = PartialMolecule.conformer(smiles_symbols(texts[2]), {}, np.random.default_rng(2))
    np.testing.assert_allclose(draw_atoms_first(model(), [alone], SETTINGS)[0].positions, drawn[2].positions, atol=5e-3)


def test_the_generator_draws_in_turn_and_says_what_it_cannot():
    generator = MoleculeGenerator(model(), "small", settings=SETTINGS)
    core = MoleculeRequest(scaffold=molecules()[4].to_sdf())
    requests = [MoleculeRequest(), MoleculeRequest(formula="C2H6O"), core, MoleculeRequest(smiles="CCO")]
    drafts = generator.draw([Job(request, place, 0, 0) for place, request in enumerate(requests)])
    # the positions of an untrained model are broken more often than not
    assert drafts[0].structure is not None or "broken" in drafts[0].reason
    assert "broken" in drafts[1].reason or drafts[1].structure.formula == "C2H6O"
    assert "keeps no scaffold" in drafts[2].reason
    assert drafts[3].structure is None or drafts[3].structure.to_smiles() == "CCO"
    with pytest.raises(UserError, match="guidance"):
        MoleculeGenerator(model(), "small", settings=MoleculeSettings(guidance=2.0))
