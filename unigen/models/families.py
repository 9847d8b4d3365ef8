"""From a model's config to the model."""

from __future__ import annotations

from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel

CrystalModel = Autoregressive | WyckoffModel
Model = CrystalModel | MoleculeModel | PropertyNetwork | JointModel
ModelConfig = AutoregressiveConfig | WyckoffConfig | MoleculeConfig | PredictorConfig | JointConfig


def build_model(config: ModelConfig) -> Model:
    """A fresh model of any kind."""
    match config:
        case WyckoffConfig():
            return WyckoffModel(config)
        case MoleculeConfig():
            return MoleculeModel(config)
        case PredictorConfig():
            return PropertyNetwork(config)
        case JointConfig():
            return JointModel(config)
        case AutoregressiveConfig():
            return Autoregressive(config)
