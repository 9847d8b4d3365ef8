"""COV-R and COV-P: how much of the reference the samples cover, and how many samples lie near the reference.

Fingerprints as in CDVAE (Xie et al., ICLR 2022): CrystalNN "ops" averaged over sites, and Magpie composition features.
One difference: composition features are standardised by the reference set itself, not by constants of MP-20's train
split, so that any reference can be used. The fingerprints take about 0.6 CPU-seconds a structure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.parallel import Workers
from unigen.parsing import PARSER_ERRORS
from unigen.shapes import Float
from unigen.version import require


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """A crystal as two vectors: ``structure`` (61,) local order, ``composition`` (132,) element statistics."""

    structure: Float[np.ndarray, "order_parameters"]
    composition: Float[np.ndarray, "element_statistics"]


@dataclass(frozen=True)
class Coverage:
    """Shares in [0, 1]; ``failed`` crystals had no fingerprint and count as uncovered."""

    recall: float
    precision: float
    failed: int


def fingerprint(crystal: Crystal) -> Fingerprint | None:
    """The two fingerprints of a crystal, None where CrystalNN finds no neighbours or an element has no features."""
    from matminer.featurizers.composition.composite import ElementProperty
    from matminer.featurizers.site.fingerprint import CrystalNNFingerprint

    structure = crystal.to_pymatgen()
    sites = CrystalNNFingerprint.from_preset("ops")
    elements = ElementProperty.from_preset("magpie")
    try:
        local = np.mean([sites.featurize(structure, site) for site in range(len(structure))], axis=0)
        composition = np.array(elements.featurize(structure.composition), dtype=float)
    except PARSER_ERRORS:  # CrystalNN: no Voronoi cell, no radius; Magpie: an element beyond its tables
        return None
    return Fingerprint(local, composition)


def cover(
    samples: Sequence[Crystal],
    references: Sequence[Crystal],
    cutoffs: tuple[float, float],
    n_generated: int,
    workers: Workers,
) -> Coverage:
    """COV-R over the references and COV-P over all generated crystals.

    Args:
        samples: the readable ones.
        references: the crystals to be covered.
        cutoffs: largest distance of structure and composition fingerprints.
        n_generated: denominator of the precision, failures included.
        workers: the processes that do it.

    Raises:
        UserError: matminer is not installed.
    """
    require("coverage", "matminer", "coverage needs")
    from scipy.spatial.distance import cdist

    prints = workers.map(fingerprint, [*samples, *references], "Fingerprints")
    made = [each for each in prints[: len(samples)] if each is not None]
    wanted = [each for each in prints[len(samples) :] if each is not None]
    failed = len(prints) - len(made) - len(wanted)
    if not made or not wanted:
        return Coverage(0.0, 0.0, failed)
    compositions = np.array([each.composition for each in wanted])
    mean, spread = np.nanmean(compositions, axis=0), np.nanstd(compositions, axis=0)
    spread[spread == 0] = 1.0  # a feature that never varies in the reference
    # Magpie knows no value of some elements: NaN becomes the reference's mean, which is 0 once standardised
    standardised = [np.nan_to_num([(each.composition - mean) / spread for each in group]) for group in (made, wanted)]
    between_compositions = cdist(*standardised)
    between_structures = cdist([each.structure for each in made], [each.structure for each in wanted])
    # as published: the nearest structure and the nearest composition need not be the same crystal's
    covered, near = (
        (between_structures.min(axis=axis) <= cutoffs[0]) & (between_compositions.min(axis=axis) <= cutoffs[1])
        for axis in (0, 1)
    )
    return Coverage(float(covered.sum() / len(references)), float(near.sum() / n_generated), failed)
