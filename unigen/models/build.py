"""From a model's config to the model."""

from __future__ import annotations

from unigen.models.autoregressive import Autoregressive, AutoregressiveConfig
from unigen.models.wyckoff import WyckoffConfig, WyckoffModel

Model = Autoregressive | WyckoffModel
ModelConfig = AutoregressiveConfig | WyckoffConfig


def build_model(config: ModelConfig) -> Model:
    """A fresh model of either kind."""
    match config:
        case WyckoffConfig():
            return WyckoffModel(config)
        case AutoregressiveConfig():
            return Autoregressive(config)
