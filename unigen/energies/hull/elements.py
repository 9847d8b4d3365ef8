"""What an atom of each element counts in a potential's energies: total energy minus these is formation energy.

Fitted, because potentials err most on the elements' own odd crystals (and molecules such as O2): least squares over
compounds whose formation energy is known. The fit takes up a constant error an element, so a formation energy by it is
as good as the potential is on compounds. Its error on compounds left out is on the card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from unigen import config
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.energies.potential import Potential
from unigen.errors import UserError
from unigen.shapes import Float

FEWEST = 3
"""Compounds an element must be in, or it has no energy."""


@dataclass(frozen=True, kw_only=True)
class ElementEnergies:
    """Energies of the elements for one potential in one scheme.

    Attributes:
        potential: its identity.
        energies: eV/atom by symbol.
        structures: compounds fitted to.
        mean_error: mean absolute error of formation energies of compounds left out, eV/atom, by five-fold crossing.
        sources: datasets of the compounds.
        too_rare: elements without an energy, being in fewer than `FEWEST` compounds, and in how many they are.
        left_out: crystals of the sources that could not be fitted to, by reason.
    """

    potential: dict[str, str]
    energies: dict[str, float]
    structures: int
    mean_error: float
    sources: tuple[str, ...]
    too_rare: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def by_number(self) -> dict[int, float]:
        """eV/atom by atomic number."""
        return {ATOMIC_NUMBER[symbol]: energy for symbol, energy in self.energies.items()}


def fit_element_energies(
    counts: Sequence[Mapping[int, int]],
    energies: Float[np.ndarray, "compounds"],
    formation: Float[np.ndarray, "compounds"],
    potential: Potential,
    sources: Sequence[str],
    left_out: Mapping[str, int] | None = None,
) -> ElementEnergies:
    """Least squares: minimise sum over compounds of (E - sum_el x_el mu_el - E_formation)^2.

    Args:
        counts: atoms by atomic number.
        energies: of the potential, eV/atom.
        formation: known formation energies in the potential's scheme, eV/atom.
        potential: that computed the energies.
        sources: for the card.
        left_out: crystals of the sources without such energies, by reason, for the card.

    Raises:
        UserError: fewer than ten compounds.
    """
    if len(counts) < 10:
        raise UserError("too few compounds to fit energies of the elements", got=len(counts), wanted="at least 10")
    columns = sorted({number for each in counts for number in each})
    shares = np.array([[each.get(number, 0) / sum(each.values()) for number in columns] for each in counts])
    target = energies - formation
    # where compounds do not tell two elements apart: of all solutions that fit alike, the one of least norm
    fitted = np.linalg.lstsq(shares, target, rcond=None)[0]
    found_in = dict(zip(columns, (shares > 0).sum(axis=0).tolist(), strict=True))
    return ElementEnergies(
        potential=potential.identity,
        energies={SYMBOLS[n]: float(mu) for n, mu in zip(columns, fitted, strict=True) if found_in[n] >= FEWEST},
        too_rare={SYMBOLS[n]: compounds for n, compounds in found_in.items() if compounds < FEWEST},
        left_out=dict(left_out or {}),
        structures=len(counts),
        mean_error=_crossed_error(shares, target),
        sources=tuple(sources),
    )


def _crossed_error(shares: Float[np.ndarray, "compounds elements"], target: Float[np.ndarray, "compounds"]) -> float:
    """Mean absolute error on compounds that the fit has not seen and whose elements it has."""
    errors = []
    for part in range(5):
        held = np.arange(len(target)) % 5 == part
        fitted = np.linalg.lstsq(shares[~held], target[~held], rcond=None)[0]
        seen = (shares[~held] > 0).sum(axis=0) >= FEWEST
        # an element that the fit lacks has no energy in use either: no error is made with it
        fair = held & ~(shares[:, ~seen] > 0).any(axis=1)
        errors.append(np.abs(target[fair] - shares[fair] @ fitted))
    return float(np.concatenate(errors).mean())


def elements_file(folder: Path, potential: Potential) -> Path:
    """Where the energies for a potential lie beside a reference set."""
    return folder / f"elements-{potential.name.replace(':', '-')}.yaml"


def write_element_energies(folder: Path, potential: Potential, energies: ElementEnergies) -> Path:
    """Write them beside the reference set; returns the file."""
    path = elements_file(folder, potential)
    config.write_yaml(path, asdict(energies))
    return path


def open_element_energies(folder: Path, potential: Potential) -> ElementEnergies:
    """The energies for exactly this potential.

    Raises:
        UserError: there are none, or they belong to other weights.
    """
    path = elements_file(folder, potential)
    step = f"run: unigen hull elements {folder.name} --potential {potential.name} --from DATASET"
    if not path.exists():
        raise UserError(
            f"this hull has no energies of the elements for {potential.name}", where=str(folder), next_step=step
        )
    energies = config.load(ElementEnergies, path)
    if energies.potential != potential.identity:
        raise UserError(
            "energies of the elements are of another potential",
            where=str(path),
            got=str(potential.identity),
            wanted=str(energies.potential),
            next_step=step,
        )
    return energies
