"""Do positions hold together as the bonds say? A coarse look at distances, after covalent radii."""

from __future__ import annotations

import numpy as np

from unigen.elements import SYMBOLS
from unigen.molecules.molecule import Molecule
from unigen.shapes import Float

STRETCHED, SQUEEZED, COLLAPSED, TOUCHING = 1.3, 0.6, 0.8, 0.9
"""In sums of two covalent radii: a bond is not longer, nor shorter; atoms two or three bonds apart keep this far, and
atoms farther apart this far. Wide enough that none of 4,000 molecules of QM9 has a fault."""


def fault_of(molecule: Molecule) -> str:
    """The worst distance that no bond, or no pair that is not bonded, has; empty for a sound molecule."""
    distance = np.linalg.norm(molecule.positions[:, None] - molecule.positions, axis=2)
    first, second = molecule.bonds[:, 0], molecule.bonds[:, 1]
    bonded = np.zeros(distance.shape, dtype=bool)
    bonded[first, second] = bonded[second, first] = True
    ratio = distance / covalent_sums(molecule)
    # Walks of two and three bonds. In float32, whose matrix product is a fast one: counts of walks are small integers.
    adjacency = bonded.astype(np.float32)
    near = (adjacency @ adjacency + adjacency @ adjacency @ adjacency) > 0
    above = np.maximum(ratio, 1e-9)  # atoms on top of each other are the worst, not a division by zero
    excess = {  # above 1 where a limit is passed
        "a bond of": np.where(bonded, np.maximum(ratio / STRETCHED, SQUEEZED / above), 0.0),
        "no bond, but": np.where(
            bonded | np.eye(len(bonded), dtype=bool), 0.0, np.where(near, COLLAPSED, TOUCHING) / above
        ),
    }
    kind = max(excess, key=lambda name: excess[name].max())
    if excess[kind].max() <= 1.0:
        return ""
    one, two = np.unravel_index(int(excess[kind].argmax()), distance.shape)
    names = "-".join(SYMBOLS[molecule.numbers[atom]] for atom in (one, two))
    return f"{names}: {kind} {distance[one, two]:.2f} Angstrom"


def covalent_sums(molecule: Molecule) -> Float[np.ndarray, "atoms atoms"]:
    """The two covalent radii of each pair of atoms together, Angstrom."""
    from ase.data import covalent_radii

    radii = covalent_radii[molecule.numbers]
    return radii[:, None] + radii
