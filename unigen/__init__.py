"""UniGen: generative modelling of crystals and molecules in 3D.

The public names below are imported when first used, so that ``import unigen`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unigen.version import __version__

if TYPE_CHECKING:
    from unigen.crystals.crystal import Crystal
    from unigen.errors import UserError
    from unigen.eval.crystals.evaluate import evaluate_crystals as evaluate
    from unigen.eval.report import Report
    from unigen.models.generator import Sample
    from unigen.molecules.molecule import Molecule
    from unigen.ranking.settings import RankSettings
    from unigen.request import CrystalRequest, MoleculeRequest
    from unigen.sample.generate import generate
    from unigen.sample.load import load

__all__ = [
    "Crystal",
    "CrystalRequest",
    "Molecule",
    "MoleculeRequest",
    "RankSettings",
    "Report",
    "Sample",
    "UserError",
    "__version__",
    "evaluate",
    "generate",
    "load",
]

_HOMES = {
    "Crystal": ("unigen.crystals.crystal", "Crystal"),
    "CrystalRequest": ("unigen.request", "CrystalRequest"),
    "Molecule": ("unigen.molecules.molecule", "Molecule"),
    "MoleculeRequest": ("unigen.request", "MoleculeRequest"),
    "RankSettings": ("unigen.ranking.settings", "RankSettings"),
    "Report": ("unigen.eval.report", "Report"),
    "Sample": ("unigen.models.generator", "Sample"),
    "UserError": ("unigen.errors", "UserError"),
    "evaluate": ("unigen.eval.crystals.evaluate", "evaluate_crystals"),
    "generate": ("unigen.sample.generate", "generate"),
    "load": ("unigen.sample.load", "load"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unigen' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
