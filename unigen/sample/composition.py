"""Drawing what a request leaves open about the composition: the number of formula units, or all of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from unigen.batch import TokenBatch, pad
from unigen.errors import UserError
from unigen.models.build import Model
from unigen.shapes import Float
from unigen.tokens.grammar import CompositionGrammar, composition_symbols, read_pairs
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel
from unigen.tokens.vocabulary import END, MAX_COUNT

Counts = dict[int, int]


def prompt_batch(prompts: list[list[int]], device: torch.device) -> TokenBatch:
    """Composition prompts, finished or not, as a batch."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    longest = int(lengths.max())
    shape = (len(prompts), longest)
    return TokenBatch(
        symbols=pad([np.array(prompt) for prompt in prompts], longest).to(device),
        vectors=torch.zeros(*shape, VECTOR_WIDTH, device=device),
        channel=torch.full(shape, Channel.SYMBOL, device=device),
        descriptor=torch.zeros(*shape, DESCRIPTOR_WIDTH, dtype=torch.long, device=device),
        lengths=lengths,
    )


@torch.no_grad()
def unit_probabilities(
    model: Model, reduced: Counts, temperature: float, fits: Callable[[Counts], bool]
) -> tuple[list[Counts], Float[np.ndarray, "cells"]]:
    """Cells with 1, 2, ... formula units that fit, and the probability of each under the model's data.

    Args:
        model: in evaluation mode.
        reduced: one formula unit.
        temperature: of the symbols.
        fits: which cells may be chosen.

    Raises:
        UserError: one formula unit is already larger than the model's cells.
    """
    limit = min(model.config.max_atoms // sum(reduced.values()), MAX_COUNT // max(reduced.values()))
    if limit < 1:
        raise UserError(
            "more atoms in one formula unit than the model saw",
            got=sum(reduced.values()),
            wanted=f"at most {model.config.max_atoms}",
        )
    cells = [{number: count * units for number, count in reduced.items()} for units in range(1, limit + 1)]
    cells = [cell for cell in cells if fits(cell)]
    if not cells:
        return [], np.zeros(0)
    device = next(model.parameters()).device
    scores = model.symbol_log_likelihoods(prompt_batch([composition_symbols(cell) for cell in cells], device))
    return cells, torch.softmax(scores.double().cpu() / temperature, 0).numpy()


@torch.no_grad()
def draw_compositions(
    model: Model,
    grammars: list[CompositionGrammar],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
) -> list[Counts]:
    """Write compositions symbol by symbol; the grammar lets nothing else than the request be written.

    Args:
        model: in evaluation mode.
        grammars: one a row.
        uniforms: the numbers in [0, 1) that decide each row's draws.
        temperature: of the symbols.
    """
    device = next(model.parameters()).device
    prompts = [composition_symbols({})[:1] for _ in grammars]
    for step in range(uniforms.shape[1]):
        open_rows = [row for row, prompt in enumerate(prompts) if prompt[-1] != END]
        if not open_rows:
            break
        batch = prompt_batch([prompts[row] for row in open_rows], device)
        legal = np.stack([grammars[row].legal(prompts[row]) for row in open_rows])
        drawn = model.symbol_head.sample(
            model(batch)[:, -1],
            torch.from_numpy(legal).to(device),
            torch.from_numpy(uniforms[open_rows, step]).to(device),
            temperature,
        )
        for row, symbol in zip(open_rows, drawn.tolist(), strict=True):
            prompts[row].append(symbol)
    return [dict(read_pairs(prompt)) for prompt in prompts]
