"""Which mixer each layer of a backbone has, as configs write it: a name, or a section of its ``kind`` and its options.

mixers: [ssd, ssd, attention, {kind: delta_product, reflections: 2}, {kind: repeated, mixer: ssd, times: 3}, attention]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from unigen.config import check_ranges
from unigen.errors import UserError, did_you_mean

_WIDTHS, _CONVOLUTIONS = (1, 4096), (1, 64)
"""Beyond these a state is larger than that of any published model, and no convolution is short."""


@dataclass(frozen=True, kw_only=True)
class AttentionLayer:
    """Options of ``nn/mixers/attention.py``; raises UserError for a value out of its range, as all of these do."""

    kind: Literal["attention"] = "attention"
    kv_heads: int | None = None
    distances: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, kv_heads=_WIDTHS, distances=(0, 1_000_000))


@dataclass(frozen=True, kw_only=True)
class SSDLayer:
    """Options of ``nn/mixers/ssd.py``."""

    kind: Literal["ssd"] = "ssd"
    state_width: int = 64
    convolution: int = 4

    def __post_init__(self) -> None:
        check_ranges(self, state_width=_WIDTHS, convolution=_CONVOLUTIONS)


@dataclass(frozen=True, kw_only=True)
class DeltaProductLayer:
    """Options of ``nn/mixers/delta_product.py``."""

    kind: Literal["delta_product"] = "delta_product"
    reflections: int = 1
    convolution: int = 4

    def __post_init__(self) -> None:
        check_ranges(self, reflections=(1, 16), convolution=_CONVOLUTIONS)


@dataclass(frozen=True, kw_only=True)
class LightNetLayer:
    """Options of ``nn/mixers/lightnet.py``."""

    kind: Literal["lightnet"] = "lightnet"
    convolution: int = 4

    def __post_init__(self) -> None:
        check_ranges(self, convolution=_CONVOLUTIONS)


@dataclass(frozen=True, kw_only=True)
class S5Layer:
    """Options of ``nn/mixers/s5.py``."""

    kind: Literal["s5"] = "s5"
    state_width: int = 64

    def __post_init__(self) -> None:
        check_ranges(self, state_width=_WIDTHS)
        if self.state_width % 8:
            raise UserError("state_width: not made of whole blocks", got=self.state_width, wanted="a multiple of 8")


@dataclass(frozen=True, kw_only=True)
class ParaRNNLayer:
    """``nn/mixers/para_rnn.py``, which has no options."""

    kind: Literal["para_rnn"] = "para_rnn"


Mixer = AttentionLayer | SSDLayer | DeltaProductLayer | LightNetLayer | S5Layer | ParaRNNLayer


@dataclass(frozen=True, kw_only=True)
class RepeatedLayer:
    """Options of ``nn/mixers/depth_recurrence.py``: one block, mixer and feed-forward, applied some times."""

    kind: Literal["repeated"] = "repeated"
    mixer: str | Mixer = "attention"
    times: int = 2

    def __post_init__(self) -> None:
        check_ranges(self, times=(1, 1000))
        mixer_of(self.mixer)


@dataclass(frozen=True, kw_only=True)
class ExpertsLayer:
    """Options of ``nn/mixers/experts.py``: a mixer, and behind it ``active`` of many feed-forward layers a token."""

    kind: Literal["experts"] = "experts"
    mixer: str | Mixer = "attention"
    experts: int = 8
    active: int = 2

    def __post_init__(self) -> None:
        check_ranges(self, experts=(1, 1000), active=(1, self.experts))
        mixer_of(self.mixer)


Layer = str | Mixer | RepeatedLayer | ExpertsLayer
"""An entry of ``mixers``."""

_KINDS: dict[str, type[Mixer]] = {
    "attention": AttentionLayer,
    "ssd": SSDLayer,
    "delta_product": DeltaProductLayer,
    "lightnet": LightNetLayer,
    "s5": S5Layer,
    "para_rnn": ParaRNNLayer,
}

MIXERS = tuple(_KINDS)
"""Names that may stand alone."""


def mixer_of(entry: str | Mixer) -> Mixer:
    """The mixer that is meant, with its options; raises UserError for a name that none has."""
    if not isinstance(entry, str):
        return entry
    if entry not in _KINDS:
        wanted, near = f"one of {', '.join(MIXERS)}", did_you_mean(entry, MIXERS)
        raise UserError("mixers: unknown mixer", got=entry, wanted=wanted, next_step=near)
    return _KINDS[entry]()


def kind_of(layer: Layer) -> str:
    """The kind of a layer's mixer, whatever is built around it."""
    return mixer_of(layer.mixer if isinstance(layer, RepeatedLayer | ExpertsLayer) else layer).kind


def check_pattern(layers: tuple[Layer, ...], heads: int) -> None:
    """Check all names, and that heads can be shared; raises UserError."""
    for layer in layers:
        mixer = mixer_of(layer.mixer if isinstance(layer, RepeatedLayer | ExpertsLayer) else layer)
        if isinstance(mixer, AttentionLayer) and heads % (mixer.kv_heads or 1):
            raise UserError(
                "mixers: kv_heads cannot be shared by the heads",
                got=f"kv_heads {mixer.kv_heads}, heads {heads}",
                wanted="a divisor of the heads",
            )
