"""Property conditions for a model that was trained without: an adapter moves its output by them, and only by them.

``h' = h + weight f(h, properties)``, and ``h' = h`` where nothing is asked for: so a trained model stays what it is,
and the adapter alone is trained (``only: properties``), without a pass back through the backbone. After Houlsby et al.
2019.

The values stand in the vector of BEGIN, which is otherwise unused: up to five numbers, 0 for those that are not asked
for, then the weight of them all. An adapter hears some of them: properties that a model learns later get one of their
own, and those that it knew keep theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unigen.errors import UserError
from unigen.shapes import Float
from unigen.tokens.sequence import VECTOR_WIDTH

MOST_PROPERTIES = VECTOR_WIDTH - 1
"""A value each, and one weight."""

_ZERO = 1e-30
"""In place of the value 0, and of what would be rounded to it: 0 says that nothing is asked. No denormal, and nothing
beside the spread of a property."""

_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)
"""Radians a standard deviation of a property: the slowest does not repeat within +-6 of them."""


def property_numbers(values: Mapping[str, float], names: Sequence[str]) -> dict[int, float]:
    """Values by the number of their property among those of a model, from 0.

    Raises:
        UserError: a property that it does not know.
    """
    wanted = f"one of {', '.join(names)}" if names else "none: this model knows no properties"
    for name in values:
        if name not in names:
            raise UserError(f"the model does not know the property {name!r}", wanted=wanted)
    return {list(names).index(name): float(value) for name, value in values.items()}


class Range(NamedTuple):
    """What values a property has in the training data.

    Attributes:
        low: the smallest.
        high: the largest.
        unit: empty where it is not said.
        spread: the standard deviation.
    """

    low: float
    high: float
    unit: str
    spread: float


def property_ranges(
    properties: Collection[str],
    names: Sequence[str],
    units: Sequence[str],
    ranges: Float[Tensor, "names 2"],
    spreads: Float[Tensor, "names"],
) -> dict[str, Range]:
    """The values of some properties in the training data.

    Args:
        properties: whose.
        names: of all properties of a model.
        units: of these, perhaps of the first ones only.
        ranges: smallest and largest value of these.
        spreads: standard deviations of these.

    Raises:
        UserError: a property that the model does not know.
    """
    all_units, limits = [*units, *[""] * len(names)], ranges.tolist()
    numbers = property_numbers(dict.fromkeys(properties, 0.0), names)
    return {names[n]: Range(limits[n][0], limits[n][1], all_units[n], float(spreads[n])) for n in numbers}


def value_vector(values: Mapping[int, float], guidance: float = 1.0) -> Float[np.ndarray, "6"]:
    """Values by the number of their property, from 0, as the vector of BEGIN.

    Args:
        values: what is asked for.
        guidance: how far the output is moved, in moves of the model: for symbols, whose logits are linear in the
            output, classifier-free guidance (Ho and Salimans 2022); 0 asks for nothing.
    """
    vector = np.zeros(VECTOR_WIDTH, dtype=np.float32)
    for number, value in values.items():
        vector[number], vector[-1] = value if abs(value) > _ZERO else _ZERO, guidance
    return vector


class PropertyAdapter(nn.Module):
    """See the module's docstring.

    Args:
        properties: how many it hears.
        width: of the output that is moved.
        first: the number of the first of these, from 0.
    """

    mean: Tensor
    std: Tensor
    range: Tensor
    frequencies: Tensor

    def __init__(self, properties: int, width: int, first: int = 0) -> None:
        super().__init__()
        self.heard = slice(first, first + properties)
        self.register_buffer("mean", torch.zeros(properties))
        self.register_buffer("std", torch.ones(properties))
        self.register_buffer("range", torch.zeros(properties, 2))
        self.register_buffer("frequencies", torch.tensor(_FREQUENCIES), persistent=False)
        features = properties * (2 * len(_FREQUENCIES) + 2)
        last = nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.move = nn.Sequential(nn.Linear(width + features, width), nn.SiLU(), last)

    def forward(
        self, h: Float[Tensor, "batch *tokens width"], condition: Float[Tensor, "batch 6"]
    ) -> Float[Tensor, "batch *tokens width"]:
        """The output as it is with these values.

        Args:
            h: the model's output.
            condition: vectors of BEGIN, see ``value_vector``.
        """
        asked, weight = condition[:, self.heard], condition[:, -1:]
        is_given = ((asked != 0) & (weight != 0)).to(h.dtype)
        value = ((asked - self.mean) / self.std * is_given)[..., None]
        phase = value * self.frequencies
        features = torch.cat([value, phase.sin(), phase.cos(), torch.ones_like(value)], dim=-1) * is_given[..., None]
        shape = (len(h), *[1] * (h.ndim - 2), -1)
        features = features.flatten(1).reshape(shape).expand(*h.shape[:-1], -1)
        moved = (weight[:, 0] * is_given.amax(1)).reshape(shape)
        return h + moved * self.move(torch.cat([h, features], dim=-1))
