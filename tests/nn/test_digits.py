"""Digits drawn one after the other are scored as they were drawn, and hear nothing of those behind."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from unigen.nn.heads.digits import DigitHead
from unigen.testing import assert_close

SIZES = (8, 8, 5, 3)


def some(seed, rows=4):
    torch.manual_seed(seed)
    head = DigitHead(16, 12, SIZES)
    digits = torch.stack([torch.randint(0, size, (rows,)) for size in SIZES], 1)
    return head, torch.randn(rows, 16), digits, torch.rand(rows, len(SIZES)) < 0.7


@given(st.integers(0, 1000))
def test_one_after_the_other_is_all_at_once(seed):
    head, h, digits, there = some(seed)
    logits = head(h, digits, there)
    hidden, before = head.hidden(h), torch.zeros(len(h), 12)
    for digit in range(len(SIZES)):
        assert_close(head.step(hidden, before, digit), logits[:, digit], f"digit {digit}")
        before = before + there[:, digit, None] * head.tell(digit, digits[:, digit])


@given(st.integers(0, 1000), st.integers(0, len(SIZES) - 1))
def test_no_digit_hears_itself_or_those_behind(seed, changed):
    head, h, digits, there = some(seed)
    other = digits.clone()
    other[:, changed] = (digits[:, changed] + 1) % SIZES[changed]
    there[:, changed] = True
    first, second = head(h, digits, there), head(h, other, there)
    assert torch.equal(first[:, : changed + 1], second[:, : changed + 1])
    assert changed == len(SIZES) - 1 or not torch.equal(first[:, changed + 1 :], second[:, changed + 1 :])


def test_digits_that_are_not_there_say_nothing():
    head, h, digits, there = some(0)
    other = torch.where(there, digits, 0)
    assert torch.equal(head(h, digits, there), head(h, other, there))
