import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.train.averaging import growing_average


@given(st.floats(0.5, 0.999), st.integers(1, 50))
def test_an_average_of_equal_weights_is_those_weights(decay, steps):
    average, weights = [torch.zeros(3)], [torch.full((3,), 2.0)]
    update = growing_average(decay)
    average[0].copy_(weights[0])  # as torch does at the first step
    for step in range(1, steps):
        update(average, weights, step)
    assert torch.equal(average[0], weights[0])


@given(st.floats(0.9, 0.9999))
def test_the_random_start_is_forgotten_within_a_few_dozen_steps(decay):
    average, weights = [torch.ones(1)], [torch.zeros(1)]
    update = growing_average(decay)
    for step in range(1, 100):
        update(average, weights, torch.tensor(step))
    plain = decay**99
    assert average[0].item() <= max(1e-4, plain)


def test_after_long_it_is_the_plain_average():
    average, weights = [torch.ones(1)], [torch.zeros(1)]
    growing_average(0.99)(average, weights, 100_000)
    assert torch.allclose(average[0], torch.tensor([0.99]))
