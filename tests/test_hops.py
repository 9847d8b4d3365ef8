"""To follow the loss to its innermost tensor operation, a reader opens at most six files."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from tests.crystals.real_crystals import elemental_crystals
from tests.models.small_model import small_model
from unigen.models.words.tokens import WordsTokenizer
from unigen.tokens.sequence import collate

PACKAGE = str(Path(__file__).resolve().parents[1] / "unigen")


def deepest_stack(call: Callable[[], object]) -> list[str]:
    """The call stack that passes through most files of the package, one entry a file."""
    deepest: list[str] = []

    def look(frame, event, _argument):
        nonlocal deepest
        if event != "call" or not frame.f_code.co_filename.startswith(PACKAGE):
            return
        files, at = [], frame
        while at is not None:
            name = at.f_code.co_filename
            if name.startswith(PACKAGE) and at.f_code.co_name != "<module>" and name not in files:
                files.append(name)
            at = at.f_back
        if len(files) > len(deepest):
            deepest = files

    sys.setprofile(look)
    try:
        call()
    finally:
        sys.setprofile(None)
    return [name.removeprefix(PACKAGE) for name in reversed(deepest)]


def test_the_loss():
    tokenizer = WordsTokenizer(12)
    batch = collate([tokenizer.encode(crystal.reduced(), np.random.default_rng(0)) for crystal in elemental_crystals()])
    model = small_model()
    files = deepest_stack(lambda: model.losses(batch, torch.Generator().manual_seed(0)))
    assert len(files) <= 6, files
