"""UniGen: generative modelling of crystals and molecules in 3D.

The public names below are imported when first used, so that ``import unigen`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from unigen.version import __version__

if TYPE_CHECKING:
    from unigen.api.fine_tuning import finetune
    from unigen.api.generation import generate
    from unigen.api.inspection import inspect
    from unigen.api.judgement import evaluate, identify, rank
    from unigen.api.prediction import predict
    from unigen.api.relaxation import hull, relax
    from unigen.api.run_folder import open_run
    from unigen.api.samples import Samples
    from unigen.crystals.crystal import Crystal
    from unigen.errors import UserError
    from unigen.eval.report import Report
    from unigen.models.generator import Sample
    from unigen.molecules.molecule import Molecule
    from unigen.ranking.settings import RankSettings
    from unigen.request import CrystalRequest, MoleculeRequest
    from unigen.sample.load import load

__all__ = [
    "Crystal",
    "CrystalRequest",
    "Molecule",
    "MoleculeRequest",
    "RankSettings",
    "Report",
    "Sample",
    "Samples",
    "UserError",
    "__version__",
    "evaluate",
    "finetune",
    "generate",
    "hull",
    "identify",
    "inspect",
    "load",
    "open_run",
    "predict",
    "rank",
    "relax",
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
    "Samples": ("unigen.api.samples", "Samples"),
    "evaluate": ("unigen.api.judgement", "evaluate"),
    "finetune": ("unigen.api.fine_tuning", "finetune"),
    "generate": ("unigen.api.generation", "generate"),
    "hull": ("unigen.api.relaxation", "hull"),
    "identify": ("unigen.api.judgement", "identify"),
    "inspect": ("unigen.api.inspection", "inspect"),
    "load": ("unigen.sample.load", "load"),
    "open_run": ("unigen.api.run_folder", "open_run"),
    "predict": ("unigen.api.prediction", "predict"),
    "rank": ("unigen.api.judgement", "rank"),
    "relax": ("unigen.api.relaxation", "relax"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unigen' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return sorted(__all__)
