"""Autoregressive decoding in a batch: each prompt read once, one cached step an atom, one short ODE a vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unigen.batch import Layout, TokenBatch, pad
from unigen.models.cell_choice import Counts
from unigen.models.generator import VectorSettings
from unigen.models.words.network import Autoregressive
from unigen.models.words.tokens import descriptors
from unigen.nn.kernels.vector_sampler import sample_vectors
from unigen.nn.mixers.backbone import first_rows, pick_rows
from unigen.nn.mixers.interface import State
from unigen.nn.process.solvers import karras_levels
from unigen.shapes import Float
from unigen.tokens.composition import composition_symbols
from unigen.tokens.sequence import VECTOR_WIDTH, Channel, Sequence
from unigen.tokens.vocabulary import SLOT


@dataclass(frozen=True, kw_only=True)
class WordsSettings(VectorSettings):
    """How a model of words draws: vectors, and the composition by the same temperature; it can be told nothing else."""


@dataclass(frozen=True, eq=False)
class Noise:
    """All random numbers of a batch's vectors, drawn beforehand a row, so that no row depends on its batch.

    Attributes:
        lattice: standard normal, (batch, 6).
        sites: standard normal, (batch, atoms - 1, 3).
    """

    lattice: Float[Tensor, "batch 6"]
    sites: Float[Tensor, "batch sites 3"]


@torch.no_grad()
def decode(model: Autoregressive, cells: list[Counts], noise: Noise, settings: WordsSettings) -> list[Sequence]:
    """Draw lattice and sites for cells of given composition.

    Args:
        model: in evaluation mode.
        cells: atoms by atomic number, **largest cell first**, so that the rows still open are always the first ones.
        noise: random numbers, row by row.
        settings: how to draw.
    """
    plan = _plan(cells, next(model.parameters()).device)
    prompt = torch.tensor([2 * len(cell) + 2 for cell in cells], device=plan.symbols.device)  # BEGIN, pairs, END
    atoms = np.array([sum(cell.values()) for cell in cells])
    assert (np.diff(atoms) <= 0).all(), "cells must come largest first"
    h, states = _read_prompts(model, cells, plan, prompt)
    vectors = plan.vectors
    rows = torch.arange(len(cells), device=prompt.device)
    vectors[rows, prompt] = _draw(model, Channel.LATTICE, h, noise.lattice, settings)
    for site in range(int(atoms[0]) - 1):
        active = int((atoms > site + 1).sum())
        states = first_rows(states, active)
        position = prompt[:active] + site
        inputs = _input_at(model, plan, vectors, rows[:active], position)
        h, states = model.backbone.step(inputs, position, states)
        vectors[rows[:active], position + 1] = _draw(model, Channel.FRACTIONAL, h, noise.sites[:active, site], settings)
    columns = [tensor.cpu().numpy() for tensor in (plan.symbols, vectors, plan.channel, plan.descriptor)]
    return [Sequence(*(column[row, :length] for column in columns)) for row, length in enumerate(plan.lengths.tolist())]


def _plan(cells: list[Counts], device: torch.device) -> TokenBatch:
    """Everything that is known once the compositions are: all but the vectors."""
    parts = [descriptors(cell) for cell in cells]
    longest = max(len(channel) for channel, _ in parts)
    symbols = []
    for cell, (channel, _) in zip(cells, parts, strict=True):
        row = np.full(len(channel), SLOT, dtype=np.int64)
        written = composition_symbols(cell)
        row[: len(written)] = written
        symbols.append(row)
    return TokenBatch(
        symbols=pad(symbols, longest),
        vectors=torch.zeros(len(cells), longest, VECTOR_WIDTH),
        channel=pad([channel for channel, _ in parts], longest),
        descriptor=pad([descriptor for _, descriptor in parts], longest),
        lengths=torch.tensor([len(channel) for channel, _ in parts]),
    ).to(device)


def _read_prompts(
    model: Autoregressive, cells: list[Counts], plan: TokenBatch, prompt: Tensor
) -> tuple[Tensor, list[State]]:
    """Backbone output at the end of each prompt, and the states after it; equal prompts are read once."""
    first: dict[tuple[tuple[int, int], ...], int] = {}
    which = [first.setdefault(tuple(cell.items()), len(first)) for cell in cells]
    representative = [which.index(unique) for unique in range(len(first))]
    unique = plan.select(torch.tensor(representative, device=prompt.device))
    x = model.embedding(unique)[:, : int(prompt.max())]
    states = model.backbone.init_states(len(unique), plan.symbols.shape[1], x)
    ends = prompt[representative]
    h = model.backbone(x, Layout.padded(ends, x.shape[1]), states)  # what is remembered is the prompt of each row
    last = h[torch.arange(len(unique), device=h.device), ends - 1]
    copies = torch.tensor(which, device=h.device)
    return last[copies], pick_rows(states, copies)


def _input_at(model: Autoregressive, plan: TokenBatch, vectors: Tensor, rows: Tensor, position: Tensor) -> Tensor:
    """What the backbone reads at one position of each row: its content, and what is known of the next."""
    embedding = model.embedding
    content = embedding.content(
        plan.symbols[rows, position],
        vectors[rows, position],
        plan.channel[rows, position],
        plan.descriptor[rows, position],
    )
    return content + embedding.upcoming(plan.channel[rows, position + 1], plan.descriptor[rows, position + 1])


def _draw(model: Autoregressive, channel: Channel, h: Tensor, normal: Tensor, settings: WordsSettings) -> Tensor:
    """Stored vectors (slots, 6) from one ODE a slot."""
    head = model.head(channel)
    levels = karras_levels(settings.steps, head.process.sigma_min, head.process.sigma_max).to(h.device)
    start = head.process.prior(normal)
    x = sample_vectors(head, start, levels, head.context(h), temperature=settings.temperature, solver=settings.solver)
    if channel == Channel.LATTICE:
        return model.embedding.restore(x)
    # x - floor(x) may round to 1.0, which is 0 on the torus; whoever decodes wraps once more
    return torch.nn.functional.pad(x - x.floor(), (0, VECTOR_WIDTH - x.shape[1]))
