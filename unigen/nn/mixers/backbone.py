"""A stack of layers: of each, ``pattern.py`` says which mixer it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from unigen.batch import Layout
from unigen.nn.mixers.attention import Attention
from unigen.nn.mixers.block import Block
from unigen.nn.mixers.depth_recurrence import DepthRecurrence
from unigen.nn.mixers.interface import State, TokenMixer
from unigen.nn.mixers.pattern import (
    AttentionLayer,
    DeltaProductLayer,
    ExpertsLayer,
    Layer,
    LightNetLayer,
    Mixer,
    ParaRNNLayer,
    RepeatedLayer,
    S5Layer,
    SSDLayer,
    mixer_of,
)
from unigen.shapes import Float, Int


def build_mixer(entry: str | Mixer, width: int, heads: int) -> TokenMixer:
    """The mixer of one layer; those that a model does not use are not imported."""
    match mixer_of(entry):
        case AttentionLayer(kv_heads=kv_heads, distances=distances):
            return Attention(width, heads, kv_heads, distances)
        case SSDLayer(state_width=state_width, convolution=convolution):
            from unigen.nn.mixers.ssd import SSD

            return SSD(width, heads, state_width, convolution)
        case DeltaProductLayer(reflections=reflections, convolution=convolution):
            from unigen.nn.mixers.delta_product import DeltaProduct

            return DeltaProduct(width, heads, reflections, convolution)
        case LightNetLayer(convolution=convolution):
            from unigen.nn.mixers.lightnet import LightNet

            return LightNet(width, heads, convolution)
        case S5Layer(state_width=state_width):
            from unigen.nn.mixers.s5 import S5

            return S5(width, state_width)
        case ParaRNNLayer():
            from unigen.nn.mixers.para_rnn import ParaRNN

            return ParaRNN(width)


def build_layer(layer: Layer, width: int, heads: int, dropout: float) -> Block | DepthRecurrence:
    """One layer of a backbone."""
    if isinstance(layer, RepeatedLayer):
        block = Block(build_mixer(layer.mixer, width, heads), width, dropout)
        return DepthRecurrence(block, width, layer.times)
    if isinstance(layer, ExpertsLayer):
        from unigen.nn.mixers.experts import SparseExperts

        mixer = build_mixer(layer.mixer, width, heads)
        return Block(mixer, width, dropout, SparseExperts(width, layer.experts, layer.active))
    return Block(build_mixer(layer, width, heads), width, dropout)


def pick_rows(states: list[State], rows: Int[Tensor, "picked"]) -> list[State]:
    """Some rows of the memories of all blocks, in any order and maybe repeated: copies, so that each may go its way."""
    # index_select: three times as fast as indexing for the memory of attention
    return [{name: tensor.index_select(0, rows) for name, tensor in state.items()} for state in states]


def first_rows(states: list[State], count: int) -> list[State]:
    """The first rows of the memories of all blocks, shared with them."""
    return [{name: tensor[:count] for name, tensor in state.items()} for state in states]


def put_rows(
    states: list[State], rows: Int[Tensor, "picked"], others: list[State], picked: Int[Tensor, "picked"]
) -> None:
    """Overwrite rows of the memories of all blocks, in place, with rows of others (or of their own)."""
    for state, other in zip(states, others, strict=True):
        for name, tensor in state.items():
            tensor[rows] = other[name].index_select(0, picked)


class Backbone(nn.Module):
    """Blocks in order, then a norm (pre-norm: Xiong et al. 2020).

    The state is a list, one entry a block, owned by the caller.
    """

    def __init__(self, mixers: tuple[Layer, ...], width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(build_layer(layer, width, heads, dropout) for layer in mixers)
        self.norm = nn.RMSNorm(width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], layout: Layout, states: list[State] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """All positions; fills ``states`` when given (prefill)."""
        for index, block in enumerate(self._typed_blocks()):
            x = block(x, layout, states[index] if states is not None else None)
        return self.norm(x)

    def step(
        self,
        x: Float[Tensor, "batch width"],
        position: Int[Tensor, "batch"],
        states: list[State],
        places: Float[Tensor, "batch 2 3"] | None = None,
    ) -> tuple[Float[Tensor, "batch width"], list[State]]:
        """One position a row, after ``forward`` or earlier steps on the same states; with places as in ``Layout``."""
        h, states = self.steps(x[:, None], position, states, None if places is None else places[:, None])
        return h[:, 0], states

    def steps(
        self,
        x: Float[Tensor, "batch tokens width"],
        position: Int[Tensor, "batch"],
        states: list[State],
        places: Float[Tensor, "batch tokens 2 3"] | None = None,
    ) -> tuple[Float[Tensor, "batch tokens width"], list[State]]:
        """So many steps of each row in one pass, the first at its ``position``; attention does them at once."""
        after = []
        for block, state in zip(self._typed_blocks(), states, strict=True):
            x, new = block.steps(x, position, state, places)
            after.append(new)
        return self.norm(x), after

    @property
    def rewinds(self) -> bool:
        """Whether states can be stepped from at any earlier position (``TokenMixer.rewinds``)."""
        return all(module.rewinds for module in self.modules() if isinstance(module, TokenMixer))

    def init_states(self, batch: int, max_len: int, like: torch.Tensor) -> list[State]:
        """Empty states."""
        return [block.init_state(batch, max_len, like) for block in self._typed_blocks()]

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """As ``nn.Module.compile``, but for recurrences, experts and what is drawn: these stay as they are.

        The compiler needs minutes for loops over chunks and passes, and most of their time is in matrix products.
        """
        from unigen.nn.mixers.experts import SparseExperts

        for module in self.modules():
            if isinstance(module, SparseExperts):
                _keep_from_compiler(type(module), "forward")
            elif isinstance(module, DepthRecurrence):
                _keep_from_compiler(type(module), "draw_times")
            elif isinstance(module, TokenMixer) and not isinstance(module, Attention):
                _keep_from_compiler(type(module), "mix")
        super().compile(*args, **kwargs)

    def _typed_blocks(self) -> Iterator[Block | DepthRecurrence]:
        for block in self.blocks:
            assert isinstance(block, Block | DepthRecurrence)
            yield block


def _keep_from_compiler(kind: type[nn.Module], method: str) -> None:
    """Of the class, not of the module, whose copies (averaged weights) would call the method of the first."""
    function = getattr(kind, method)
    if not getattr(function, "_torchdynamo_disable", False):
        setattr(kind, method, torch.compiler.disable(function))
