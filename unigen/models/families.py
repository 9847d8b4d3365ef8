"""Every family of models, listed once: its entry here is all that the other rooms know of a family."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from unigen.cards import Kind
from unigen.config import from_dict
from unigen.errors import UserError, did_you_mean
from unigen.models.fine_tuning import FineTuning, Material
from unigen.models.generator import Generator, OpenedModel
from unigen.models.interface import Network
from unigen.models.joint.items import joint_encoder, open_joint
from unigen.models.joint.network import JointConfig, JointModel
from unigen.models.nearest.generator import NEAREST, NearestSettings, nearest_generator
from unigen.models.octree.decoding import OctreeSettings
from unigen.models.octree.items import octree_encoder, open_octree_crystals, open_octree_molecules
from unigen.models.octree.network import OctreeCrystalConfig, OctreeModel, OctreeMoleculeConfig
from unigen.models.octree.property import OctreePropertyConfig, OctreePropertyNetwork
from unigen.models.octree.property_items import calibrate_errors as calibrate_octrees
from unigen.models.octree.property_items import open_octree_properties
from unigen.models.predictor.items import calibrate_errors as calibrate_molecules
from unigen.models.predictor.items import open_properties
from unigen.models.predictor.network import PredictorConfig, PropertyNetwork
from unigen.models.property.items import calibrate_errors, open_labelled
from unigen.models.property.network import GraphPropertyNetwork, PropertyConfig
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.models.smiles.fine_tuning import prepare_smiles
from unigen.models.smiles.items import open_smiles, smiles_encoder
from unigen.models.smiles.network import MoleculeConfig, MoleculeModel
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.training_set import DataConfig, TrainingSet
from unigen.models.words.decoding import WordsSettings
from unigen.models.words.items import open_words, words_encoder
from unigen.models.words.network import Autoregressive, AutoregressiveConfig
from unigen.models.wyckoff.fine_tuning import prepare_wyckoff
from unigen.models.wyckoff.items import open_wyckoff, wyckoff_encoder
from unigen.models.wyckoff.network import WyckoffConfig, WyckoffModel
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.nn.encoders.choice import MessagePassingChoice


@dataclass(frozen=True, kw_only=True)
class Learned:
    """The part of a family that is trained.

    Attributes:
        config: a frozen dataclass of sizes whose ``kind`` is the family's word in YAML.
        network: builds a fresh network of a config.
        training_set: opens the data that a config is trained on.
        reads: what ``data.train`` must hold.
        fine_tuning: prepares a model to be trained further on structures of the user; None: it cannot be.
        encoder: of single structures, for a network, their kind and a table of known structures; None: it reads no
            sequences.
        tiny: a config of a few thousand parameters, on which the laws of ``unigen.testing`` are tested in seconds.
        calibrate: tells a trained network what held-out data say of its errors; None: nothing is told.
        writes_smiles: whether SMILES without positions are something to learn (``data.smiles``).
    """

    config: type
    network: Callable[[Any], Network]
    training_set: Callable[[DataConfig, Any], TrainingSet]
    reads: Kind
    tiny: Any
    fine_tuning: Callable[[FineTuning], Material] | None = None
    encoder: Callable[[Any, Kind, Path], SequenceEncoder] | None = None
    calibrate: Callable[[Any, DataConfig], None] | None = None
    writes_smiles: bool = False


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family, a folder of ``models/``.

    Attributes:
        name: of the folder.
        learned: how it is trained; None: nothing is learned, and its name stands for the model.
        generator: makes a generator of an opened model; None: it generates nothing.
        settings: of its generator, by what it makes: a frozen dataclass with defaults.
        retrieves: whether it looks known structures up (``--retrieve-from``, ``--exclude-formula``), or some of its
            models do.
        follows_parents: whether it follows structures of the user (``--parents``).
    """

    name: str
    learned: Learned | None
    generator: Callable[[OpenedModel], Generator] | None = None
    settings: Mapping[Kind, type] = field(default_factory=dict)
    retrieves: bool = False
    follows_parents: bool = False

    def settings_from(self, makes: Kind, given: Mapping[str, Any], model: str) -> Any:
        """The settings of a generator: those that are given, the others by default.

        Args:
            makes: what it is to draw.
            given: by name.
            model: for messages.

        Raises:
            UserError: a setting that the family does not have, or a value that it cannot have.
        """
        names = [setting.name for setting in fields(self.settings[makes])]
        for name in given:
            if name not in names:
                wanted = f"one of {', '.join(names)}" if names else "none: it has no settings"
                raise UserError(
                    f"this model has no setting {name}", where=model, wanted=wanted, next_step=did_you_mean(name, names)
                )
        # a number of numpy, from np.linspace say, is the plain number to a config
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        return from_dict(self.settings[makes], plain, model)


def _late(family: str) -> Callable[[OpenedModel], Generator]:
    """The ``<family>_generator`` of a family, whose decoding is imported when it is first needed.

    Half the time that importing all families takes is their decoding, of which a command needs one.
    """

    def make(opened: OpenedModel) -> Generator:
        module = import_module(f"unigen.models.{family}.generator")
        return getattr(module, f"{family}_generator")(opened)

    return make


# Small enough that every law of ``unigen.testing`` is checked in seconds, large enough that each part is there at least
# once: two layers (state goes from one to the next), two heads, twelve atoms (several orbits, several counts).
_TINY_BACKBONE: dict[str, Any] = {"mixers": ("attention",) * 2, "width": 32, "heads": 2}
_TINY_HEADS: dict[str, Any] = {"head_width": 16, "head_blocks": 2}
_TINY_WORDS = AutoregressiveConfig(max_atoms=12, dropout=0.0, **_TINY_BACKBONE, **_TINY_HEADS)
_TINY_SMILES = MoleculeConfig(max_atoms=24, context_width=16, **_TINY_BACKBONE, **_TINY_HEADS)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="words",
        learned=Learned(
            config=AutoregressiveConfig,
            network=Autoregressive,
            training_set=open_words,
            encoder=words_encoder,
            reads="crystals",
            tiny=_TINY_WORDS,
        ),
        generator=_late("words"),
        settings={"crystals": WordsSettings},
    ),
    Family(
        name="wyckoff",
        learned=Learned(
            config=WyckoffConfig,
            network=WyckoffModel,
            training_set=open_wyckoff,
            encoder=wyckoff_encoder,
            reads="crystals",
            fine_tuning=prepare_wyckoff,
            tiny=WyckoffConfig(
                kind="wyckoff",
                max_atoms=12,
                max_orbits=12,
                reranker_width=16,
                reranker_layers=1,
                properties=("density",),
                units=("g/cm^3",),
                peaks=6,
                **_TINY_BACKBONE,
                **_TINY_HEADS,
            ),
        ),
        generator=_late("wyckoff"),
        settings={"crystals": WyckoffSettings},
        retrieves=True,
        follows_parents=True,
    ),
    Family(
        name="smiles",
        learned=Learned(
            config=MoleculeConfig,
            network=MoleculeModel,
            training_set=open_smiles,
            encoder=smiles_encoder,
            reads="molecules",
            fine_tuning=prepare_smiles,
            tiny=_TINY_SMILES,
            writes_smiles=True,
        ),
        generator=_late("smiles"),
        settings={"molecules": MoleculeSettings},
    ),
    Family(
        name="joint",
        learned=Learned(
            config=JointConfig,
            network=JointModel,
            training_set=open_joint,
            encoder=joint_encoder,
            reads="crystals",
            tiny=JointConfig(kind="joint", crystal=_TINY_WORDS, molecule=_TINY_SMILES),
            writes_smiles=True,
        ),
        generator=_late("joint"),
        settings={"crystals": WordsSettings, "molecules": MoleculeSettings},
    ),
    Family(
        name="octree",
        learned=Learned(
            config=OctreeMoleculeConfig,
            network=OctreeModel,
            training_set=open_octree_molecules,
            encoder=octree_encoder,
            reads="molecules",
            tiny=OctreeMoleculeConfig(max_atoms=24, **_TINY_BACKBONE, **_TINY_HEADS),
        ),
        generator=_late("octree"),
        settings={"molecules": OctreeSettings},
    ),
    Family(
        name="octree",
        learned=Learned(
            config=OctreeCrystalConfig,
            network=OctreeModel,
            training_set=open_octree_crystals,
            encoder=octree_encoder,
            reads="crystals",
            tiny=OctreeCrystalConfig(
                max_atoms=12,
                position="continuous",
                form="doubled",
                peaks=6,
                neighbours=2,
                **_TINY_BACKBONE,
                **_TINY_HEADS,
            ),
        ),
        generator=_late("octree"),
        settings={"crystals": OctreeSettings},
        retrieves=True,
    ),
    Family(
        name="octree",
        learned=Learned(
            config=OctreePropertyConfig,
            network=OctreePropertyNetwork,
            training_set=open_octree_properties,
            calibrate=calibrate_octrees,
            reads="molecules",
            tiny=OctreePropertyConfig(
                kind="octree-property",
                properties={"gap": "attention", "mu": "mean"},
                units={"gap": "eV", "mu": "D"},
                octree=OctreeMoleculeConfig(max_atoms=24, **_TINY_BACKBONE, **_TINY_HEADS),
            ),
        ),
    ),
    Family(
        name="predictor",
        learned=Learned(
            config=PredictorConfig,
            network=PropertyNetwork,
            training_set=open_properties,
            calibrate=calibrate_molecules,
            reads="molecules",
            tiny=PredictorConfig(
                kind="predictor",
                properties={"gap": "attention", "mu": "dipole"},
                layers=2,
                width=32,
                vectors=8,
                tensors=4,
                channels=4,
                radial=4,
            ),
        ),
    ),
    Family(
        name="property",
        learned=Learned(
            config=PropertyConfig,
            network=GraphPropertyNetwork,
            training_set=open_labelled,
            calibrate=calibrate_errors,
            reads="molecules",  # or crystals: its config says
            tiny=PropertyConfig(
                kind="property",
                structures="molecules",
                properties={"gap": "attention", "mu": "mean"},
                units={"gap": "eV", "mu": "D"},
                encoder=MessagePassingChoice(width=16, layers=2, radial=8),
            ),
        ),
    ),
    Family(
        name=NEAREST,
        learned=None,
        generator=nearest_generator,
        settings={"crystals": NearestSettings},
        retrieves=True,
    ),
)

UNLEARNED: Mapping[str, Family] = {family.name: family for family in FAMILIES if family.learned is None}
"""Families whose name stands for the model: there are no weights to be found."""

if TYPE_CHECKING:
    from unigen.models.interface import ModelConfig
else:
    ModelConfig = Union[tuple(family.learned.config for family in FAMILIES if family.learned is not None)]  # noqa: UP007
    """Any config: a YAML file says by its ``kind`` which."""


def family_of(config: ModelConfig) -> Family:
    """The family of a config."""
    for family in FAMILIES:
        if family.learned is not None and type(config) is family.learned.config:
            return family
    raise AssertionError(f"{type(config).__name__} stands in no family")


def _learned(config: ModelConfig) -> Learned:
    learned = family_of(config).learned
    assert learned is not None, "a config is of a family that learns"
    return learned


class _ShapesOnly(TorchFunctionMode):
    """Makes weights on "meta", where they have a shape and no numbers, and leaves out what would fill them.

    ``torch.device("meta")`` would bring everything there, and what it runs for random numbers and ranges imports
    torch's compiler: a second at the start of every command.
    """

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        options = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return args[0] if args else options["tensor"]
        # a tensor of no numbers takes no memory: libraries ask it for the usual device, and compute there
        is_weight = func is torch.empty and args != (0,)
        return func(*args, **(options | {"device": "meta"} if is_weight else options))


def meta_model(config: ModelConfig) -> Network:
    """A network whose weights have no numbers: it has names and shapes, and takes next to no memory."""
    # what is drawn all the same, by libraries, leaves the numbers of the real network as they are
    with torch.random.fork_rng(devices=[]), _ShapesOnly():
        return _learned(config).network(config)


def build_model(config: ModelConfig) -> Network:
    """A fresh network.

    Raises:
        UserError: larger than the memory of this machine.
    """
    return build_like(meta_model(config), config)


def build_like(network: Network, config: ModelConfig) -> Network:
    """As `build_model`, where the `meta_model` of the config is at hand."""
    tensors = [*network.parameters(), *network.buffers()]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if size > memory:
        count = sum(parameter.numel() for parameter in network.parameters())
        raise UserError(
            f"a network of {count:.2g} parameters, which need {size / 2**30:,.0f} GiB",
            wanted=f"at most the {memory / 2**30:,.0f} GiB of this machine",
            next_step="take a smaller width or fewer layers",
        )
    return _learned(config).network(config)


def open_training_set(data: DataConfig, config: ModelConfig) -> TrainingSet:
    """What a network of this config is trained on.

    Raises:
        UserError: a dataset that is not built, or that has nothing that fits the config.
    """
    if data.smiles is not None and not _learned(config).writes_smiles:
        kinds = [each.learned.tiny.kind for each in FAMILIES if each.learned is not None and each.learned.writes_smiles]
        raise UserError("data.smiles: this family writes no SMILES", got=config.kind, wanted=" or ".join(kinds))
    opened = _learned(config).training_set(data, config)
    if data.replay is None:
        return opened
    replayed = _learned(config).training_set(replace(data, train=data.replay, replay=None, smiles=None), config)
    return opened.mixed_with(replayed.train, replayed.encode, data.replay_share)


def calibration_of(config: ModelConfig) -> Callable[[Any, DataConfig], None] | None:
    """What tells a trained network of this config what held-out data say of its errors; None: its family has none."""
    return _learned(config).calibrate
