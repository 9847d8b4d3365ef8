"""Which encoder a model has, as configs write it: a section of its ``kind`` and its options.

encoder: {kind: message_passing, width: 96, layers: 3}
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unigen.config import check_ranges
from unigen.errors import UserError
from unigen.nn.encoders.graphs import Encoder

Pooling = Literal["sum", "mean", "attention", "monoid"]
"""``sum`` of what grows with the structure (a molecule's heat capacity), ``mean`` of what is told an atom (a crystal's
formation energy), ``attention`` of what few atoms decide (a band gap, orbital energies), ``monoid`` of what is learned
how atoms add up (of molecules; see ``nn/encoders/monoid.py``)."""

GROWING: tuple[Pooling, ...] = ("sum", "monoid")
"""What may grow with the number of atoms."""

_SIZES = {
    "width": (8, 65_536),
    "layers": (1, 1_000),
    "radial": (1, 1_024),
    "cutoff": (1, 100),  # Angstrom: from a bond to more atoms than any memory holds
}


@dataclass(frozen=True, kw_only=True)
class MessagePassingChoice:
    """Options of ``nn/encoders/message_passing.py``; raises UserError for a value out of its range, as all of these."""

    kind: Literal["message_passing"] = "message_passing"
    width: int = 96
    layers: int = 3
    radial: int = 24
    cutoff: float = 5.0

    def __post_init__(self) -> None:
        check_ranges(self, **_SIZES)


@dataclass(frozen=True, kw_only=True)
class EquivariantChoice:
    """Options of ``nn/encoders/equivariant.py``."""

    kind: Literal["equivariant"] = "equivariant"
    width: int = 64
    layers: int = 3
    hidden: str = "32x0e + 16x1o + 8x2e"
    radial: int = 16
    cutoff: float = 5.0

    def __post_init__(self) -> None:
        check_ranges(self, **_SIZES)


@dataclass(frozen=True, kw_only=True)
class FrameAveragingChoice:
    """Options of ``nn/encoders/frame_averaging.py``.

    Attributes:
        positional: functions of the spectrum of the graph of bonds that atoms are told, of molecules; 0: none.
    """

    kind: Literal["frame_averaging"] = "frame_averaging"
    width: int = 96
    layers: int = 3
    heads: int = 4
    radial: int = 24
    cutoff: float = 5.0
    positional: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, **_SIZES, heads=(1, 65_536), positional=(0, 1_024))
        if self.width % self.heads:
            raise UserError(
                "encoder: the width cannot be divided among the heads",
                got=f"width {self.width}, heads {self.heads}",
                wanted="a multiple of the heads",
            )


EncoderChoice = MessagePassingChoice | EquivariantChoice | FrameAveragingChoice


def build_encoder(choice: EncoderChoice) -> Encoder:
    """The encoder; the libraries of those that a model does not use are not imported.

    Raises:
        UserError: features that e3nn cannot read.
    """
    match choice:
        case MessagePassingChoice():
            from unigen.nn.encoders.message_passing import MessagePassingEncoder

            return MessagePassingEncoder(choice.width, choice.layers, choice.radial, choice.cutoff)
        case FrameAveragingChoice():
            from unigen.nn.encoders.frame_averaging import FrameAveragingEncoder

            return FrameAveragingEncoder(
                choice.width, choice.layers, choice.heads, choice.radial, choice.cutoff, choice.positional
            )
        case EquivariantChoice():
            from unigen.nn.encoders.equivariant import EquivariantEncoder

            try:
                return EquivariantEncoder(choice.width, choice.layers, choice.hidden, choice.radial, choice.cutoff)
            except ValueError as error:
                raise UserError("encoder: hidden: no features", got=choice.hidden, wanted="as 32x0e + 16x1o") from error
