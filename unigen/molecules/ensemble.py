"""An ensemble: the distinct conformers of one molecule within a window of energies, with their Boltzmann weights.

What CREST (Pracht, Bohle and Grimme, Phys. Chem. Chem. Phys. 22, 7169 (2020)) and OMEGA do at the end of a search. From
the lowest energy upwards a conformer is kept when it lies within the window and is no duplicate of one that was kept
before: the root mean square deviation of the heavy atoms, best over rotations and over orders of the atoms that the
graph holds for the same, is what tells. Mirror images are different conformers.

Energies are in kcal/mol, distances in Angstrom. A weight is exp(-E/RT) over the sum of all that are kept: of energies
alone, so entropies of the single conformers, and mirror images that were not drawn, are not in it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.config import check_ranges
from unigen.errors import UserError
from unigen.molecules.molecule import Molecule

if TYPE_CHECKING:
    from rdkit.Chem import Mol

GAS_CONSTANT = 1.987204259e-3
"""kcal/(mol K), CODATA 2018."""

ENERGY, RELATIVE, WEIGHT = "energy_kcal_mol", "relative_energy_kcal_mol", "boltzmann_weight"
"""Names of what is told of a conformer, in files, tables and Python: its energy by the method that relaxed it, the same
above the lowest of its molecule, its share."""

RANK = "rank"
"""Name of the fact that says which by energy a conformer is of those that are kept, from 1."""

LEFT_OUT, DUPLICATE, ABOVE = "left_out", "duplicate", "above the window"
"""Name of the fact that says why a conformer is not kept, and what it says."""

MAX_MATCHES = 10_000
"""Orders of the atoms tried for one pair, at most, as in the protocol of conformers: of a molecule of more symmetries a
distance may be too large, and a duplicate stay."""


@dataclass(frozen=True, kw_only=True)
class EnsembleRules:
    """Which conformers of a molecule are kept.

    Attributes:
        window: kcal/mol above the lowest, at most; None keeps all.
        distinct: a conformer nearer than this to one of lower energy, by heavy atoms, is left out, Angstrom; None and 0
            keep all.
        temperature: of the weights, kelvin.

    Raises:
        UserError: a number out of range.
    """

    window: float | None = None
    distinct: float | None = None
    temperature: float = 298.15

    def __post_init__(self) -> None:
        check_ranges(self, window=(0, 1e6), distinct=(0, 1e3), temperature=(1e-3, 1e6))


@dataclass(frozen=True)
class Member:
    """What became of one conformer.

    Attributes:
        relative_energy: above the lowest of its molecule, kcal/mol.
        weight: Boltzmann's, 0 for what is left out.
        rank: from 1, by energy, among those that are kept; None for what is left out.
        duplicate_of: which conformer it is too near to; None where it is kept, or above the window.
        rmsd: how near, Angstrom.
    """

    relative_energy: float
    weight: float = 0.0
    rank: int | None = None
    duplicate_of: int | None = None
    rmsd: float | None = None

    @property
    def left_out(self) -> str:
        """`DUPLICATE`, `ABOVE`, or nothing for what is kept."""
        return "" if self.kept else ABOVE if self.rmsd is None else DUPLICATE

    @property
    def kept(self) -> bool:
        """Whether it is in the ensemble."""
        return self.rank is not None

    @property
    def facts(self) -> dict[str, int | float | str]:
        """What became of it, by the names that files and tables have."""
        if self.rank is None:
            return {RELATIVE: self.relative_energy, LEFT_OUT: self.left_out}
        return {RANK: self.rank, RELATIVE: self.relative_energy, WEIGHT: self.weight}

    def reason(self, name: object) -> str:
        """Why it is left out, the one that it is a duplicate of going by this name; empty for what is kept."""
        if self.kept:
            return ""
        if self.rmsd is not None:
            return f"duplicate of {name} ({self.rmsd:.2f} A)"
        return f"{self.relative_energy:.1f} kcal/mol above the lowest"


def is_left_out(facts: Mapping[str, object]) -> bool:
    """Whether these facts, or this line of a journal, are of a sound conformer that its ensemble does not hold."""
    return facts.get(LEFT_OUT) in (DUPLICATE, ABOVE)


def with_energies(conformer: Molecule, facts: Mapping[str, Any]) -> Molecule:
    """The conformer with the energies and the weight among these facts as properties of it."""
    told = {name: float(facts[name]) for name in (ENERGY, RELATIVE, WEIGHT) if name in facts}
    return replace(conformer, properties=conformer.properties | told)


def ensemble(conformers: Sequence[Molecule], energies: Sequence[float], rules: EnsembleRules) -> list[Member]:
    """What becomes of each of these conformers, in their order; of equal energies the first goes before.

    Args:
        conformers: of one molecule, of one stereo, with bonds; their atoms may stand in different orders.
        energies: of each, kcal/mol, by one method.
        rules: window and smallest distance.

    Raises:
        UserError: an energy that is no number; conformers of two graphs.

    Example:
        >>> one = Molecule.from_smiles("CCCC")
        >>> [each.reason(0) for each in ensemble([one, one], [1.0, 1.1], EnsembleRules(distinct=0.5))]
        ['', 'duplicate of 0 (0.00 A)']
    """
    if not conformers:
        return []
    values = np.array(energies, dtype=np.float64)
    if values.shape != (len(conformers),) or not np.isfinite(values).all():
        raise UserError("ensemble: not an energy a conformer", got=f"{len(conformers)} conformers, energies {energies}")
    relative = values - values.min()
    window = np.inf if rules.window is None else rules.window
    heavy: dict[int, Mol] = {}
    kept: list[int] = []
    near: dict[int, tuple[int, float]] = {}
    for place in np.argsort(relative, kind="stable").tolist():
        if relative[place] > window:
            break
        if rules.distinct:
            heavy[place] = heavy_atoms(conformers[place])
            found = _first_within(heavy, place, kept, rules.distinct)
            if found is not None:
                near[place] = found
                continue
        kept.append(place)
    factors = np.exp(-relative[kept] / (GAS_CONSTANT * rules.temperature))
    weights = dict(zip(kept, (factors / factors.sum()).tolist(), strict=True))
    ranks = {place: rank for rank, place in enumerate(kept, start=1)}
    return [
        Member(float(relative[place]), weights.get(place, 0.0), ranks.get(place), *near.get(place, (None, None)))
        for place in range(len(conformers))
    ]


def ensembles(
    molecules: Sequence[Hashable],
    conformers: Sequence[Molecule],
    energies: Sequence[float],
    rules: EnsembleRules,
) -> list[Member]:
    """The same of conformers of several molecules, each among those of its own.

    Args:
        molecules: which molecule each conformer is of: its canonical isomeric SMILES, say.
        conformers: see `ensemble`; ``duplicate_of`` counts in this list.
        energies: kcal/mol.
        rules: of each ensemble.
    """
    places: dict[Hashable, list[int]] = {}
    for place, molecule in enumerate(molecules):
        places.setdefault(molecule, []).append(place)
    members: dict[int, Member] = {}
    for own in places.values():
        for place, each in zip(
            own, ensemble([conformers[n] for n in own], [energies[n] for n in own], rules), strict=True
        ):
            other = None if each.duplicate_of is None else own[each.duplicate_of]
            members[place] = Member(each.relative_energy, each.weight, each.rank, other, each.rmsd)
    return [members[place] for place in range(len(conformers))]


def ensemble_order(molecules: Sequence[Hashable], members: Sequence[Member]) -> list[int]:
    """The places of conformers, molecule by molecule: those that are kept by rank, then all others by energy."""
    first = {molecule: place for place, molecule in reversed(list(enumerate(molecules)))}

    def height(place: int) -> tuple[bool, int, float, int]:
        each = members[place]
        return not each.kept, first[molecules[place]], each.relative_energy, place

    return sorted(range(len(members)), key=height)


def heavy_atoms(molecule: Molecule) -> Mol:
    """The RDKit molecule without its hydrogens; raises as `Molecule.to_rdkit`."""
    from rdkit import Chem

    # RemoveHs would keep some: hydrides, those without a heavy neighbour
    return Chem.RemoveAllHs(molecule.to_rdkit())


def conformer_distance(one: Mol, other: Mol) -> float:
    """Root mean square deviation of two molecules of heavy atoms, best over symmetry, Angstrom; ``one`` is moved.

    RDKit's GetBestRMS: no reflection; terminal atoms of conjugated groups (carboxylates, nitro groups) count as equal.
    0 where there are fewer than two atoms.

    Raises:
        UserError: two graphs.
    """
    from rdkit.Chem import rdMolAlign

    if one.GetNumAtoms() < 2 and one.GetNumAtoms() == other.GetNumAtoms():
        return 0.0
    try:
        return float(rdMolAlign.GetBestRMS(one, other, maxMatches=MAX_MATCHES))
    except RuntimeError as error:
        raise UserError("conformers of two molecules", wanted="one graph") from error


def _first_within(heavy: dict[int, Mol], place: int, kept: Sequence[int], distinct: float) -> tuple[int, float] | None:
    """The first of those that are kept, of the lowest energy, that is nearer, and how near it is."""
    for other in kept:
        rmsd = conformer_distance(heavy[place], heavy[other])
        if rmsd < distinct:
            return other, rmsd
    return None
