"""SMILES written symbol by symbol; the grammar lets nothing else than the request be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from unigen.batch import TokenBatch
from unigen.models.molecule import MoleculeModel
from unigen.shapes import Float
from unigen.tokens import vocabulary
from unigen.tokens.collate import collate
from unigen.tokens.molecule import MIDDLE, prompt
from unigen.tokens.smiles_grammar import SmilesGrammar, SmilesWalk

Values = Mapping[int, float]


@torch.no_grad()
def draw_smiles(
    model: MoleculeModel,
    grammars: Sequence[SmilesGrammar],
    values: Sequence[Values],
    uniforms: Float[np.ndarray, "batch draws"],
    temperature: float,
    guidance: float = 1.0,
    begun: Sequence[Sequence[int]] | None = None,
) -> list[list[int]]:
    """One SMILES a row, as symbols without BEGIN and END.

    Args:
        model: in evaluation mode.
        grammars: what may be written in each row.
        values: properties asked for in each row, by their number in the model.
        uniforms: the numbers in [0, 1) that decide each row's draws; as many as the longest SMILES has symbols.
        temperature: of the symbols.
        guidance: how much stronger than the model holds it the properties count.
        begun: how each row begins; nothing by default.
    """
    written = [list(row) for row in begun] if begun else [[] for _ in grammars]
    walks = [reduce(SmilesWalk.write, row, grammar.start()) for grammar, row in zip(grammars, written, strict=True)]
    device = next(model.parameters()).device
    for step in range(uniforms.shape[1]):
        rows = [row for row, walk in enumerate(walks) if not walk.ended]
        if not rows:
            break
        h = _read(model, [written[row] for row in rows], [values[row] for row in rows])
        if guidance != 1.0 and any(values[row] for row in rows):  # what is drawn from is linear in h
            h = guidance * h + (1.0 - guidance) * _read(model, [written[row] for row in rows], [{} for _ in rows])
        legal = torch.from_numpy(np.stack([walks[row].legal() for row in rows])).to(device)
        drawn = model.symbol_head.sample(h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            walks[row] = walks[row].write(symbol)
            written[row] += [symbol] if symbol != vocabulary.END else []
    return written


def _read(model: MoleculeModel, written: Sequence[list[int]], values: Sequence[Values]) -> Float[Tensor, "rows width"]:
    """Backbone output at the end of each SMILES so far."""
    device = next(model.parameters()).device
    prompts = [prompt(symbols, asked) for symbols, asked in zip(written, values, strict=True)]
    tokens: TokenBatch = collate([sequence for sequence, _ in prompts]).to(device)
    names = torch.full(tokens.symbols.shape, -1, device=device)
    for place, (_, atoms) in enumerate(prompts):
        names[place, : len(atoms)] = torch.from_numpy(np.where(atoms >= 0, atoms + MIDDLE, -1))
    return model(tokens, names)[torch.arange(len(prompts), device=device), tokens.lengths - 1]
