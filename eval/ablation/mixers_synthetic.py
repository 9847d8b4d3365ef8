"""What can a pattern of mixers learn? Five tasks whose answers are known, the same steps for all, three seeds.

python eval/ablation/mixers_synthetic.py --out mixers.json

| task     | a sequence                                            | answered at every                               |
|----------|-------------------------------------------------------|-------------------------------------------------|
| parity   | bits                                                  | position: parity of the bits so far             |
| modular  | digits 0 to 4                                         | position: their sum modulo 5                    |
| words-s3 | permutations of three                                 | position: their product so far                  |
| recall   | eight keys with values, then queries                  | query: the value of its key                     |
| grammar  | symbols by a fixed rule of two, fillers between them  | symbol: the next one, whatever stands between   |

Sequences of 8, then 16, 32 and 64 tokens are learned; 64 and 256 are asked (recall: 16 queries, then 64). Chance is
50, 20, 17, 12 and 12 %. All patterns have two layers and as many parameters, within ten percent, as attention of width
64; beside each stands what its training took. A run that is cut off goes on with what its file lacks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mixers import HEADS, begun, equal_width, fill, parameters_of
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.nn import functional

from unigen.batch import Layout
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import DeltaProductLayer, Layer
from unigen.train.optim import build_optimizer, schedule
from unigen.train.settings import OptimConfig

LEARNED = (8, 16, 32, 64)
"""Tokens of the sequences that are learned, a quarter of the steps each: with 64 alone no pattern learns a product of
permutations within minutes."""
LENGTHS = (64, 256)
"""Tokens that are asked: the most that are learned, and four times as many, which a length learned by heart fails."""
TOKENS, WIDTH = 512, 64
TESTED, AT_ONCE = 512, 32
"""Sequences, at each length, and how many of them at once."""
TWO_REFLECTIONS = DeltaProductLayer(reflections=2)
PATTERNS: dict[str, tuple[Layer, ...]] = {
    "attention": ("attention", "attention"),
    "ssd": ("ssd", "ssd"),
    "delta_product": ("delta_product", "delta_product"),
    "delta_product, 2 reflections": (TWO_REFLECTIONS, TWO_REFLECTIONS),
    "lightnet": ("lightnet", "lightnet"),
    "s5": ("s5", "s5"),
    "para_rnn": ("para_rnn", "para_rnn"),
    "ssd, attention": ("ssd", "attention"),
    "delta_product, attention": ("delta_product", "attention"),
}
IGNORED = -100
"""Where nothing is asked: what the loss of torch leaves out."""

Task = Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]
"""``(rng, sequences, tokens) -> symbols, answers``, both (sequences, tokens)."""


def parity(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Bits; one state."""
    bits = rng.integers(2, size=(sequences, tokens))
    return bits, bits.cumsum(1) % 2


def modular(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Digits; a cyclic group of five."""
    digits = rng.integers(5, size=(sequences, tokens))
    return digits, digits.cumsum(1) % 5


def words_s3(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Permutations; a group whose elements do not commute."""
    elements = list(permutations(range(3)))
    times = np.array([[elements.index(tuple(a[i] for i in b)) for b in elements] for a in elements])
    word = rng.integers(6, size=(sequences, tokens))
    answers = word.copy()
    for place in range(1, tokens):
        answers[:, place] = times[answers[:, place - 1], word[:, place]]
    return word, answers


def recall(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys 0 to 7 and values 8 to 15 in turns, then queries with their values in turns, as text would have them."""
    keys = rng.permuted(np.tile(np.arange(8), (sequences, 1)), axis=1)
    values = 8 + rng.integers(8, size=(sequences, 8))
    asked = rng.integers(8, size=(sequences, tokens // 4))
    found = np.take_along_axis(values, asked, 1)
    told = np.stack([keys, values], 2).reshape(sequences, -1)
    queries = np.stack([np.take_along_axis(keys, asked, 1), found], 2).reshape(sequences, -1)
    symbols = np.concatenate([told, queries], 1)
    answers = np.full_like(symbols, IGNORED)
    answers[:, 16::2] = found - 8
    return symbols, answers


_RULE = np.random.default_rng(7).integers(8, size=(8, 8))


def grammar(rng: np.random.Generator, sequences: int, tokens: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols 0 to 7, each given by the two before it; fillers 8 to 11, which say nothing, in three places of five."""
    symbols = 8 + rng.integers(4, size=(sequences, tokens))
    answers = np.full_like(symbols, IGNORED)
    for row in range(sequences):
        places = np.flatnonzero(rng.random(tokens) < 0.4)
        word = list(rng.integers(8, size=2))
        while len(word) <= len(places):
            # now and then a symbol at random: rules of two soon run in a circle
            word.append(int(rng.integers(8)) if rng.random() < 0.2 else int(_RULE[word[-2], word[-1]]))
        told = np.array(word)[: len(places)]
        symbols[row, places] = told
        answers[row, places[1:]] = _RULE[told[:-1], told[1:]]
    return symbols, answers


TASKS: dict[str, tuple[Task, int, int]] = {
    "parity": (parity, 2, 2),
    "modular": (modular, 5, 5),
    "words-s3": (words_s3, 6, 6),
    "recall": (recall, 16, 8),
    "grammar": (grammar, 12, 8),
}
"""With how many symbols there are, and how many answers."""


class Answerer(nn.Module):
    """Symbols in, an answer at every position."""

    def __init__(self, pattern: tuple[Layer, ...], symbols: int, answers: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, width)
        self.backbone = Backbone(pattern, width, HEADS, dropout=0.0)
        self.to_answer = nn.Linear(width, answers)

    def forward(self, symbols: Tensor) -> Tensor:
        """Logits, (batch, tokens, answers)."""
        layout = Layout.padded(torch.full((len(symbols),), symbols.shape[1]), symbols.shape[1])
        return self.to_answer(self.backbone(self.embedding(symbols), layout))


def trained(pattern: tuple[Layer, ...], task: str, steps: int, lr: float, seed: int) -> dict[str, Any]:
    """Accuracy in percent at each length after so many steps, and what these took."""
    make, n_symbols, n_answers = TASKS[task]
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 1])
    width = equal_width(pattern, parameters_of(PATTERNS["attention"], WIDTH))
    model = Answerer(pattern, n_symbols, n_answers, width)
    config = OptimConfig(lr=lr, warmup_steps=min(100, steps // 4), weight_decay=0.01)
    optimizer, factor = build_optimizer(model, config), schedule(config, steps)
    start = time.process_time()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * factor(step)
        length = LEARNED[step * len(LEARNED) // steps]
        symbols, answers = map(torch.from_numpy, make(rng, TOKENS // length, length))
        loss = functional.cross_entropy(model(symbols).flatten(0, 1), answers.flatten(), ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    seconds = time.process_time() - start
    accuracy = {}
    for length in LENGTHS:
        test = np.random.default_rng([seed, 2, length])
        right = asked = 0
        for _ in range(TESTED // AT_ONCE):
            symbols, answers = map(torch.from_numpy, make(test, AT_ONCE, length))
            with torch.no_grad():
                found = model(symbols).argmax(-1)
            right += int((found == answers).sum())
            asked += int((answers != IGNORED).sum())
        accuracy[str(length)] = round(100 * right / asked, 1)
    return {"accuracy": accuracy, "cpu_seconds": round(seconds, 1), "width": width}


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {
        "steps": options.steps,
        "lr": options.lr,
        "tokens_a_step": TOKENS,
        "learned": LEARNED,
        "layers": 2,
        "heads": HEADS,
    }
    content = begun(options.out, {"settings": settings, "runs": {}})

    def run(name: str, seed: int) -> dict[str, Any]:
        task, pattern = name.split(" | ")
        return trained(PATTERNS[pattern], task, options.steps, options.lr, seed)

    names = [f"{task} | {name}" for task, name in product(options.tasks.split(","), PATTERNS)]
    fill(options.out, content, names, options.seeds, run)
    Console(width=140).print(table(content["runs"]))


def table(runs: dict[str, Any]) -> Table:
    """A line a pattern: the median of its seeds at both lengths, and the worst where they differ by ten points."""
    shown = Table("pattern", "width", "CPU-s", *(f"{task}\n{LENGTHS[0]} / {LENGTHS[1]}" for task in TASKS))
    for name in PATTERNS:
        cells, seconds, width = [], [], ""
        for task in TASKS:
            found = [run for key, run in runs.items() if key.startswith(f"{task} | {name} | ")]
            seconds += [run["cpu_seconds"] for run in found]
            width = str(found[0]["width"]) if found else width
            told = []
            for length in map(str, LENGTHS):
                values = [run["accuracy"][length] for run in found]
                if values:
                    spread = f" ({min(values):.0f})" if max(values) - min(values) >= 10 else ""
                    told.append(f"{np.median(values):.0f}{spread}")
            cells.append(" / ".join(told))
        shown.add_row(name, width, f"{np.mean(seconds):.0f}" if seconds else "", *cells)
    return shown


if __name__ == "__main__":
    main()
