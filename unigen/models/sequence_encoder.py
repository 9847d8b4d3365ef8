"""Single structures as the sequences that a model is trained on, whatever its family: what `unigen inspect` reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unigen.models.interface import Batch, Network


@dataclass(frozen=True, eq=False)
class SequenceEncoder:
    """How the structures of one kind become sequences of one network.

    Attributes:
        network: that reads them and has a ``backbone``; of a joint model its part for this kind.
        encode: a Crystal or Molecule to an item, as drawn this time; raises UserError for one that does not fit.
        collate: items to a batch that ``network.losses`` takes.
        labels: what the tokens of an item are, in a few letters each.
    """

    network: Network
    encode: Callable[[Any, np.random.Generator], Any]
    collate: Callable[[list], Batch]
    labels: Callable[[Any], list[str]]
