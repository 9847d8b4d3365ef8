"""SMILES written symbol by symbol; the grammar lets nothing else than the request be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import torch

from unigen.batch import TokenBatch
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.tokens import MIDDLE, prompt
from unigen.shapes import Float
from unigen.smiles.grammar import SmilesGrammar, SmilesWalk
from unigen.tokens import vocabulary
from unigen.tokens.sequence import DESCRIPTOR_WIDTH, VECTOR_WIDTH, Channel, collate

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
    readers = [(1.0, _Reader(model, written, values, uniforms.shape[1]))]
    if guidance != 1.0 and any(values):  # what is drawn from is linear in h
        unasked = _Reader(model, written, [{} for _ in values], uniforms.shape[1])
        readers = [(guidance, readers[0][1]), (1.0 - guidance, unasked)]
    rows = [row for row, walk in enumerate(walks) if not walk.ended]
    for step in range(uniforms.shape[1]):
        h = torch.stack([weight * reader.h for weight, reader in readers]).sum(0)
        legal = torch.from_numpy(np.stack([walks[row].legal() for row in rows])).to(device)
        drawn = model.symbol_head.sample(h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            walks[row] = walks[row].write(symbol)
            written[row] += [symbol] if symbol != vocabulary.END else []
        goes_on = [place for place, row in enumerate(rows) if not walks[row].ended]
        rows = [rows[place] for place in goes_on]
        if not rows:
            break
        for _, reader in readers:
            reader.keep(goes_on)
            reader.read([written[row] for row in rows])
    return written


class _Reader:
    """What the backbone knows of SMILES that grow by a symbol at a time; ``h`` is its output at their ends.

    Args:
        model: in evaluation mode.
        written: how each row begins.
        values: properties asked for in each row.
        draws: how many symbols will be read at most.
    """

    def __init__(
        self, model: MoleculeModel, written: Sequence[list[int]], values: Sequence[Values], draws: int
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        prompts = [prompt(list(symbols), asked) for symbols, asked in zip(written, values, strict=True)]
        tokens: TokenBatch = collate([sequence for sequence, _ in prompts]).to(self.device)
        names = torch.full(tokens.symbols.shape, -1, device=self.device)
        for place, (_, atoms) in enumerate(prompts):
            names[place, : len(atoms)] = torch.from_numpy(np.where(atoms >= 0, atoms + MIDDLE, -1))
        x = model.embedding.written(tokens, names)
        self.states = model.backbone.init_states(len(x), x.shape[1] + draws, x)
        self.position = tokens.lengths - 1
        self.h = model.backbone(x, tokens.layout, self.states)[torch.arange(len(x), device=self.device), self.position]

    def keep(self, rows: list[int]) -> None:
        """Forget the other rows."""
        if len(rows) < len(self.position):
            index = torch.tensor(rows, device=self.device)
            self.position = self.position[index]
            self.states = [{name: tensor[index] for name, tensor in state.items()} for state in self.states]

    def read(self, written: Sequence[list[int]]) -> None:
        """The last symbol of each row."""
        last = np.array([prompt(symbols, {})[1][-1] for symbols in written])
        symbols = torch.tensor([[symbols[-1]] for symbols in written], device=self.device)
        tokens = TokenBatch(
            symbols=symbols,
            vectors=torch.zeros(len(written), 1, VECTOR_WIDTH, device=self.device),
            channel=torch.full_like(symbols, Channel.SYMBOL),
            descriptor=torch.zeros(len(written), 1, DESCRIPTOR_WIDTH, dtype=torch.long, device=self.device),
            lengths=torch.ones(len(written), dtype=torch.long, device=self.device),
        )
        names = torch.from_numpy(np.where(last >= 0, last + MIDDLE, -1)).to(self.device)[:, None]
        self.position = self.position + 1
        x = self.model.embedding.written(tokens, names)[:, 0]
        self.h, self.states = self.model.backbone.step(x, self.position, self.states)
