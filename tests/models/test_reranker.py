"""The reranker sees a set: what is not there does not count, and the order in which things are told does not matter."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models.small_wyckoff import rows_of, small_wyckoff, some_items
from unigen.models.wyckoff.batch import NeighbourBatch, collate_shortlists
from unigen.nn.embeddings import ElementTable
from unigen.retrieval.shortlist import KINDS, Shortlist
from unigen.testing import assert_close

SHORTLISTS = [item.lesson.shortlist for item in some_items()]
RMS = [item.lesson.rms for item in some_items()]


@pytest.fixture(scope="module")
def reranker():
    return small_wyckoff().reranker


@pytest.fixture(scope="module")
def batch() -> NeighbourBatch:
    return collate_shortlists(SHORTLISTS, RMS)


def test_the_examples_are_worth_it(batch):
    lengths = [len(shortlist) for shortlist in SHORTLISTS]
    assert min(lengths) < max(lengths) > 8
    assert len({len(shortlist.elements) for shortlist in SHORTLISTS}) > 1
    assert (~torch.isnan(batch.rms)).any()
    assert max(len(shortlist.heads) for shortlist in SHORTLISTS) > 2


@torch.no_grad()
def test_each_shortlist_alone_equals_itself_in_the_batch(reranker, batch):
    together, losses = reranker(batch), reranker.loss(batch)
    for row, (shortlist, rms) in enumerate(zip(SHORTLISTS, RMS, strict=True)):
        alone = collate_shortlists([shortlist], [rms])
        kinds = len(shortlist.heads) + 1
        assert_close(reranker(alone)[0, :kinds], together[row, :kinds], f"logits {row}")
        assert_close(reranker.loss(alone)[0], losses[row], f"loss {row}")


@torch.no_grad()
def test_what_lies_beyond_the_end_does_not_matter(reranker, batch):
    generator = torch.Generator().manual_seed(0)
    beyond = ~batch.valid
    noise = {
        "roles": torch.randint(0, 90, batch.roles.shape, generator=generator),
        "looks": torch.randint(0, 255, batch.looks.shape, generator=generator, dtype=torch.uint8),
        "contacts": torch.randint(0, 255, batch.contacts.shape, generator=generator, dtype=torch.uint8),
        "distance": torch.rand(batch.distance.shape, generator=generator),
        "facts": torch.rand(batch.facts.shape, generator=generator),
    }
    garbage = {}
    for name, values in noise.items():
        there = getattr(batch, name)
        mask = beyond.reshape(*beyond.shape, *[1] * (there.ndim - 2))
        garbage[name] = torch.where(mask, values, there)
    changed = replace(batch, **garbage)
    assert_close(reranker(changed), reranker(batch), "logits")
    assert_close(reranker.loss(changed), reranker.loss(batch), "loss")


@settings(max_examples=10)
@given(st.integers(0, 2**31))
@torch.no_grad()
def test_neighbours_of_one_kind_may_come_in_any_order_behind_the_first(seed):
    """The kind is described by its nearest neighbour; of the others only their votes count."""
    reranker, rng = small_wyckoff().reranker, np.random.default_rng(seed)
    shuffled = []
    for shortlist in SHORTLISTS:
        heads = set(shortlist.heads.tolist())
        order = np.array([*shortlist.heads, *rng.permutation([n for n in range(len(shortlist)) if n not in heads])])
        order = order.astype(np.int64)
        per_neighbour = ("sources", "distance", "roles", "looks", "contacts", "kind", "facts")
        shuffled.append(replace(shortlist, **{name: getattr(shortlist, name)[order] for name in per_neighbour}))
    assert_close(reranker(collate_shortlists(shuffled)), reranker(collate_shortlists(SHORTLISTS)), "logits")


@settings(max_examples=10)
@given(st.integers(0, 2**31))
@torch.no_grad()
def test_the_order_of_the_elements_does_not_matter(seed):
    reranker, rng = small_wyckoff().reranker, np.random.default_rng(seed)
    shuffled = []
    for shortlist in SHORTLISTS:
        order = rng.permutation(len(shortlist.elements))
        shuffled.append(
            replace(
                shortlist,
                elements=shortlist.elements[order],
                counts=shortlist.counts[order],
                roles=shortlist.roles[:, order],
                looks=shortlist.looks[:, order],
                contacts=shortlist.contacts[:, order][:, :, order],
            )
        )
    one, other = collate_shortlists(shuffled), collate_shortlists(SHORTLISTS)
    assert_close(reranker(one), reranker(other), "logits")
    first, follow = torch.zeros(len(SHORTLISTS), dtype=torch.long), small_wyckoff().neighbour
    assert_close(follow(one, first), follow(other, first), "follow")


@torch.no_grad()
def test_kinds_that_are_not_there_get_no_probability(reranker, batch):
    probability = reranker(batch).softmax(-1)
    assert probability.shape == (len(SHORTLISTS), KINDS + 1)
    assert_close(probability.sum(1), torch.ones(len(SHORTLISTS)), "sum")
    for row, shortlist in enumerate(SHORTLISTS):
        kinds = len(shortlist.heads)
        assert (probability[row, : kinds + 1] > 0).all()
        assert (probability[row, kinds + 1 :] == 0).all()


def test_a_kind_whose_neighbours_are_all_hidden_is_not_there(reranker, batch):
    hidden = batch.keep(batch.kind != 1)
    probability = reranker(hidden).softmax(-1)
    assert (probability[:, 2] == 0).all()
    assert (probability[:, 1] > 0).all()
    only_right = torch.full_like(batch.rms, float("nan"))
    only_right[:, 1] = 0.1
    nobody = replace(hidden, rms=only_right)
    wanted = -reranker(nobody).log_softmax(-1)[:, 0]
    assert_close(reranker.loss(nobody), wanted, "none of them is right where the right one is hidden")


def test_the_loss_is_the_negative_log_probability_of_being_right(reranker, batch):
    rms = torch.full_like(batch.rms, float("nan"))
    rms[:, 0] = 0.0
    log_probability = reranker(batch).log_softmax(-1)
    torch.testing.assert_close(reranker.loss(replace(batch, rms=rms)), -log_probability[:, 1], atol=1e-3, rtol=0)
    nothing = torch.full_like(batch.rms, float("nan"))
    torch.testing.assert_close(reranker.loss(replace(batch, rms=nothing)), -log_probability[:, 0], atol=1e-3, rtol=0)


def test_with_nobody_to_follow_all_is_finite_and_none_is_certain():
    model = small_wyckoff().train()
    reranker = model.reranker
    batch = collate_shortlists([Shortlist.empty({8: 2, 22: 1}), Shortlist.empty({1: 3})])
    loss = reranker.loss(batch)
    assert_close(loss, torch.zeros(2), "loss")
    (loss.sum() + model.neighbour(batch, torch.tensor([-1, -1])).sum()).backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())
    assert torch.equal(reranker(batch).softmax(-1)[:, 0], torch.ones(2))


def test_every_parameter_learns_and_no_gradient_is_lost(batch):
    model = small_wyckoff().train()
    hidden = batch.keep(torch.rand(batch.kind.shape, generator=torch.Generator().manual_seed(0)) > 0.3)
    first = torch.zeros(len(batch), dtype=torch.long)
    (model.reranker.loss(hidden).sum() + model.neighbour(batch, first).sum()).backward()
    parts = torch.nn.ModuleList([model.reranker, model.neighbour])
    silent = [n for n, p in parts.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert not silent


@torch.no_grad()
def test_following_nobody_is_zero_and_following_is_one_neighbour_alone(batch):
    nobody, follow = torch.full((len(batch),), -1), small_wyckoff().neighbour
    assert not follow(batch, nobody).any()
    for row, shortlist in enumerate(SHORTLISTS):
        chosen = torch.full((len(batch),), len(shortlist) - 1)
        followed = follow(batch, chosen)[row]
        alone = replace(
            shortlist,
            **{
                name: getattr(shortlist, name)[-1:]
                for name in ("sources", "distance", "roles", "looks", "contacts", "kind", "facts")
            },
        )
        assert_close(follow(collate_shortlists([alone]), torch.tensor([0]))[0], followed, f"row {row}")


def test_rows_of_a_batch(batch):
    some = batch.select(torch.tensor([2, 0]))
    for f in fields(batch):
        assert torch.equal(
            torch.nan_to_num(getattr(some, f.name)), torch.nan_to_num(getattr(rows_of(batch, [2, 0]), f.name))
        )


def test_no_element_has_no_vector_and_likes_are_hidden_only_in_training():
    table = ElementTable(8, 0.5)
    torch.nn.init.zeros_(table.described.bias)
    learning, ready = table.train()(), table.eval()()
    assert not learning[0].any()
    assert not ready[0].any()
    assert torch.equal(ready, table())
    assert not torch.equal(learning, table.train()())
    assert torch.isfinite(ready).all()
