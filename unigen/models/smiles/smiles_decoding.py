"""SMILES written symbol by symbol; the grammar lets nothing else than the request be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

import numpy as np
import torch

from unigen.batch import TokenBatch
from unigen.models.smiles.network import MoleculeModel
from unigen.models.smiles.tokens import MIDDLE, Example, atoms_of_symbols, prompt
from unigen.nn.mixers.backbone import pick_rows
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
    prefixes: Sequence[Sequence[int]] | None = None,
    examples: Sequence[Sequence[Example]] | None = None,
) -> list[list[int]]:
    """One SMILES a row, as symbols without BEGIN and END, its hydrogens as the model writes them.

    Args:
        model: in evaluation mode.
        grammars: what may be written in each row.
        values: properties asked for in each row, by their number in the model.
        uniforms: the numbers in [0, 1) that decide each row's draws; as many as the longest SMILES has symbols.
        temperature: of the symbols.
        guidance: w in ``w h(properties) + (1 - w) h()``: symbol logits are linear in h, so this is classifier-free
            guidance (Ho and Salimans 2022) at the price of one head.
        prefixes: how each row begins; nothing by default.
        examples: known molecules in the prompt of each row; none by default.
    """
    written = [list(row) for row in prefixes] if prefixes else [[] for _ in grammars]
    walks = [reduce(SmilesWalk.write, row, grammar.start()) for grammar, row in zip(grammars, written, strict=True)]
    device = next(model.parameters()).device
    none: list[Sequence[Example]] = [()] * len(written)
    branches = [(1.0, _CachedPrefixes(model, written, values, examples or none, uniforms.shape[1]))]
    if guidance != 1.0 and any(values):
        unconditional = _CachedPrefixes(model, written, [{} for _ in values], none, uniforms.shape[1])
        branches = [(guidance, branches[0][1]), (1.0 - guidance, unconditional)]
    rows = [row for row, walk in enumerate(walks) if not walk.ended]
    for step in range(uniforms.shape[1]):
        h = torch.stack([weight * branch.h for weight, branch in branches]).sum(0)
        legal = torch.from_numpy(np.stack([walks[row].legal() for row in rows])).to(device)
        drawn = model.symbol_head.sample(h, legal, torch.from_numpy(uniforms[rows, step]).to(device), temperature)
        for row, symbol in zip(rows, drawn.tolist(), strict=True):
            walks[row] = walks[row].write(symbol)
            written[row] += [symbol] if symbol != vocabulary.END else []
        unfinished = [number for number, row in enumerate(rows) if not walks[row].ended]
        rows = [rows[number] for number in unfinished]
        if not rows:
            break
        for _, branch in branches:
            branch.keep(unfinished)
            branch.append([written[row] for row in rows])
    return written


class _CachedPrefixes:
    """Cached states of the backbone for SMILES that grow by a symbol at a time; ``h`` is its output at their ends.

    Args:
        model: in evaluation mode.
        written: how each row begins.
        values: properties asked for in each row.
        examples: in the prompt of each row.
        draws: how many symbols will be appended at most.
    """

    def __init__(
        self,
        model: MoleculeModel,
        written: Sequence[list[int]],
        values: Sequence[Values],
        examples: Sequence[Sequence[Example]],
        draws: int,
    ) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.hydrogens = model.config.hydrogens
        prompts = [
            prompt(list(symbols), properties, hydrogens=self.hydrogens, examples=shown)
            for symbols, properties, shown in zip(written, values, examples, strict=True)
        ]
        tokens: TokenBatch = collate([sequence for sequence, _ in prompts]).to(self.device)
        labels = torch.full(tokens.symbols.shape, -1, device=self.device)
        for row, (_, token_atom) in enumerate(prompts):
            labels[row, : len(token_atom)] = torch.from_numpy(np.where(token_atom >= 0, token_atom + MIDDLE, -1))
        x = model.embedding.written(tokens, labels)
        self.states = model.backbone.init_states(len(x), x.shape[1] + draws, x)
        self.position = tokens.lengths - 1
        self.h = model.backbone(x, tokens.layout, self.states)[torch.arange(len(x), device=self.device), self.position]

    def keep(self, rows: list[int]) -> None:
        """Forget the other rows."""
        if len(rows) < len(self.position):
            index = torch.tensor(rows, device=self.device)
            self.position = self.position[index]
            self.states = pick_rows(self.states, index)

    def append(self, written: Sequence[list[int]]) -> None:
        """Read the last symbol of each row."""
        atom = np.array([atoms_of_symbols(symbols, self.hydrogens)[-1] for symbols in written])
        symbols = torch.tensor([[symbols[-1]] for symbols in written], device=self.device)
        tokens = TokenBatch(
            symbols=symbols,
            vectors=torch.zeros(len(written), 1, VECTOR_WIDTH, device=self.device),
            channel=torch.full_like(symbols, Channel.SYMBOL),
            descriptor=torch.zeros(len(written), 1, DESCRIPTOR_WIDTH, dtype=torch.long, device=self.device),
            lengths=torch.ones(len(written), dtype=torch.long, device=self.device),
        )
        labels = torch.from_numpy(np.where(atom >= 0, atom + MIDDLE, -1)).to(self.device)[:, None]
        self.position = self.position + 1
        x = self.model.embedding.written(tokens, labels)[:, 0]
        self.h, self.states = self.model.backbone.step(x, self.position, self.states)
