import numpy as np
import pytest
import torch

from tests.crystals.real_crystals import prototypes
from tests.models.small_model import small_model
from unigen.models.words.tokens import WordsTokenizer
from unigen.nn.embeddings import ElementEmbedding
from unigen.testing import assert_close
from unigen.tokens.sequence import collate


@pytest.fixture(scope="module")
def batch():
    tokenizer, rng = WordsTokenizer(12), np.random.default_rng(0)
    fitting = [c for crystal in prototypes(40) if len(c := crystal.reduced()) <= 12][:9]
    return collate([tokenizer.encode(crystal, rng) for crystal in fitting])


def test_no_output_depends_on_later_tokens_except_through_the_next_descriptor(batch):
    model = small_model()
    h = model(batch)
    row, at = 3, int(batch.lengths[3]) - 2
    vectors = batch.vectors.clone()
    vectors[row, at + 1 :] += 0.3
    symbols = batch.symbols.clone()
    symbols[row, at + 1 :] = 5
    changed = model(type(batch)(symbols, vectors, batch.channel, batch.descriptor, batch.lengths))
    assert torch.equal(changed[row, : at + 1], h[row, : at + 1])
    assert not torch.equal(changed[row, at + 1], h[row, at + 1])


def test_each_structure_alone_equals_itself_in_the_batch(batch):
    model = small_model()
    together = model(batch)
    for row, length in enumerate(batch.lengths.tolist()):
        alone = batch.select(torch.tensor([row]))
        cut = type(batch)(
            *(t[:, :length] for t in (alone.symbols, alone.vectors, alone.channel, alone.descriptor)), alone.lengths
        )
        assert_close(model(cut)[0], together[row, :length], f"row {row}")


def test_whole_cells_added_to_coordinates_change_nothing(batch):
    model = small_model()
    shifted = batch.vectors.clone()
    shifted[batch.channel == 2] += torch.tensor([1.0, -2.0, 3.0, 0, 0, 0])
    moved = type(batch)(batch.symbols, shifted, batch.channel, batch.descriptor, batch.lengths)
    assert_close(model(moved), model(batch), "integer shifts")


def test_losses_are_finite_and_a_function_of_the_generator(batch):
    model = small_model()
    one, two = (model.losses(batch, torch.Generator().manual_seed(1)) for _ in range(2))
    assert set(one) == {"symbol", "lattice", "site"}
    assert all(torch.isfinite(one[name]) and torch.equal(one[name], two[name]) for name in one)


def test_every_parameter_learns(batch):
    model = small_model().train()
    sum(model.losses(batch, torch.Generator().manual_seed(1)).values()).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not silent


def test_no_element_has_no_vector():
    embedding = ElementEmbedding(8, 0.0)
    vectors = embedding(torch.tensor([0, 26]))
    assert vectors[0].abs().max() == 0
    assert vectors[1].abs().max() > 0
