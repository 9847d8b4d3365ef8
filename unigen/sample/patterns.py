"""Powder patterns that requests name, as the peaks that a generator is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from unigen import config as configuration
from unigen.crystals.powder.axis import Axis
from unigen.crystals.powder.files import read_pattern
from unigen.crystals.powder.peaks import PeakList, pattern_peaks
from unigen.models.checkpoint import CONFIG, model_folder
from unigen.models.families import UNLEARNED, ModelConfig
from unigen.models.generator import Generator, HearsPeaks
from unigen.request import CrystalRequest, MoleculeRequest


def hears_peaks(model: str | Path | Generator) -> bool:
    """Whether a model can be asked for a powder pattern, told by its config alone where it is not opened yet.

    Args:
        model: bundled name, model folder, or a generator.

    Raises:
        UserError: no such model.
    """
    if not isinstance(model, str | Path):
        return isinstance(model, HearsPeaks) and model.most_peaks > 0
    if str(model) in UNLEARNED:
        return False
    config = configuration.load_union(ModelConfig, model_folder(model) / CONFIG)
    return bool(getattr(config, "peaks", 0))


def asked_patterns(
    generator: Generator,
    requests: Sequence[CrystalRequest | MoleculeRequest],
    wavelength: str | float | None = None,
    axis: Axis | None = None,
) -> dict[str, PeakList]:
    """The peaks of each pattern that requests name, by its path; none where the generator hears none.

    Args:
        generator: that is asked.
        requests: what it is asked for.
        wavelength: as `read_pattern` takes it.
        axis: likewise.

    Raises:
        UserError: a pattern that cannot be read, or shows no peak.
    """
    if not (isinstance(generator, HearsPeaks) and generator.most_peaks):
        return {}
    named = [request.pxrd for request in requests if isinstance(request, CrystalRequest) and request.pxrd is not None]
    return {
        path: pattern_peaks(read_pattern(path, wavelength=wavelength, axis=axis), generator.most_peaks)
        for path in dict.fromkeys(named)
    }


def asked_remarks(patterns: Mapping[str, PeakList]) -> list[str]:
    """A line a pattern that is asked for.

    Example:
        >>> import numpy as np
        >>> asked_remarks({"salt.xy": PeakList(np.array([0.355, 0.501]), np.array([1.0, 0.7]), 0.1, 0.9)})
        ['salt.xy: asked for by its peaks, 2 from 0.1 to 0.9 1/A']
    """
    return [
        f"{path}: asked for by its peaks, {len(peaks)} from {peaks.low:.2g} to {peaks.high:.2g} 1/A"
        for path, peaks in patterns.items()
    ]
