"""Whether a crystal keeps the distances, volume and density that a request limits it to, and how far it is off."""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import log
from typing import NamedTuple

from unigen.crystals.crystal import Crystal
from unigen.crystals.plausibility.close_contacts import worst_contact
from unigen.elements import SYMBOLS
from unigen.request import ALL_PAIRS, CrystalRequest, Limits, pair_name


class Breach(NamedTuple):
    """How far a crystal is from what it is limited to.

    Attributes:
        size: relative, in lengths: 0.1 where atoms are a tenth too close, or a cell a tenth too long; 0: none.
        reason: the worst of it, with what was wanted; empty where nothing is broken.
    """

    size: float
    reason: str


KEPT = Breach(0.0, "")


def breach(request: CrystalRequest, crystal: Crystal) -> Breach:
    """The largest breach of what the request limits.

    Example:
        >>> import numpy as np
        >>> salt = Crystal(np.array([11, 17]), np.array([[0.0] * 3, [0.5] * 3]), np.eye(3) * 3)
        >>> breach(CrystalRequest(formula="NaCl", min_distance={"Na-Cl": 2.7}), salt).reason
        'Na-Cl 2.6 A apart; wanted at least 2.7 A (min_distance)'
    """
    breaches = [KEPT, _too_close(request.pair_distances, crystal)]
    if request.volume_per_atom is not None:
        volume = crystal.volume / len(crystal)
        breaches.append(_outside("volume_per_atom", volume, request.volume_per_atom, "A^3/atom"))
    if request.density is not None:
        breaches.append(_outside("density", crystal.density, request.density, "g/cm^3"))
    return max(breaches, key=lambda each: each.size)


def _too_close(wanted: dict[str, float], crystal: Crystal) -> Breach:
    if not wanted:
        return KEPT
    limits = {
        (first, second): wanted.get(pair_name(SYMBOLS[first], SYMBOLS[second]), wanted.get(ALL_PAIRS, 0.0))
        for first, second in combinations_with_replacement(sorted(crystal.counts), 2)
    }
    contact = worst_contact(crystal, {pair: least for pair, least in limits.items() if least})
    if contact is None:
        return KEPT
    apart = f"{contact.pair} {contact.distance:.3g} A apart"
    return Breach(1 - contact.ratio, f"{apart}; wanted at least {contact.limit:g} A (min_distance)")


def _outside(name: str, value: float, limits: Limits, unit: str) -> Breach:
    low, high = limits
    end = low if low is not None and value < low else high if high is not None and value > high else None
    if end is None:
        return KEPT
    wanted = ":".join("" if limit is None else f"{limit:g}" for limit in limits)
    return Breach(abs(log(value / end)) / 3, f"{name} {value:.4g} {unit}; wanted {wanted}")
