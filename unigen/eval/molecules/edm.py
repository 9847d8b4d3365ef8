"""Stability and validity of a molecule as EDM looks them up from distances alone.

Hoogeboom et al., ICML 2022, arXiv:2203.17003, ``qm9/analyze.py`` and ``qm9/rdkit_functions.py`` of its public code.
These are conventions, not chemistry: a valid molecule may be the largest of several fragments, and a missing hydrogen
is forgiven, because RDKit adds it. We report them because the field does.

The tables of bond lengths are those of ``qm9/bond_analyze.py``. Where EDM lists a pair in one direction only, it counts
in both here: EDM's own order of elements makes it so, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.molecules.molecule import Molecule
from unigen.shapes import Bool, Float, Int

SINGLE = {
    "H": "H 74 C 109 N 101 O 96 F 92 B 119 Si 148 P 144 As 152 S 134 Cl 127 Br 141 I 161",
    "C": "C 154 N 147 O 143 F 135 Si 185 P 184 S 182 Cl 177 Br 194 I 214",
    "N": "N 145 O 140 F 136 Cl 175 Br 214 S 168 I 222 P 177",
    "O": "O 148 F 142 Br 172 S 151 P 163 Si 163 Cl 164 I 194",
    "F": "F 142 S 158 Si 160 Cl 166 Br 178 P 156 I 187",
    "B": "Cl 175",
    "Si": "Si 233 S 200 Cl 202 Br 215 I 243",
    "Cl": "Cl 199 P 203 S 207 Br 214",
    "S": "S 204 Br 225 P 210 I 234",
    "Br": "Br 228 P 222",
    "P": "P 221",
    "I": "I 266",
}
"""Lengths of single bonds in picometres, each pair once."""

DOUBLE = {"C": "C 134 N 129 O 120 S 160", "N": "N 125 O 121", "O": "O 121 P 150", "P": "S 186"}
TRIPLE = {"C": "C 120 N 116 O 113", "N": "N 110"}

VALENCES = {
    **dict.fromkeys(("H", "F", "Cl", "Br", "I"), (1,)),
    **dict.fromkeys(("N", "B", "Al", "As"), (3,)),
    **dict.fromkeys(("C", "Si", "S"), (4,)),
    **dict.fromkeys(("P", "Bi"), (3, 5)),
    "O": (2,),
    "Hg": (1, 2),
}
"""Sums of bond orders at which EDM calls an atom stable; elements not listed never are."""

_HIGHEST = max(valence for allowed in VALENCES.values() for valence in allowed)


@dataclass(frozen=True)
class EdmVerdict:
    """What EDM says about a molecule.

    Attributes:
        stable_atoms: atoms whose bond orders sum to an allowed valence.
        stable: all of them are.
        valid: RDKit sanitises the bonds.
        smiles: of the largest fragment, without stereo, every hydrogen written; empty when not valid.
    """

    stable_atoms: int
    stable: bool
    valid: bool
    smiles: str = ""


def judge_edm(molecule: Molecule, margins: tuple[float, float, float] = (10.0, 5.0, 3.0)) -> EdmVerdict:
    """EDM's verdicts; the bonds the molecule carries are not looked at.

    Args:
        molecule: elements and positions.
        margins: see `bond_orders`, picometres.

    Example:
        >>> judge_edm(Molecule.from_smiles("C"))
        EdmVerdict(stable_atoms=5, stable=True, valid=True, smiles='[H]C([H])([H])[H]')
    """
    orders = bond_orders(molecule.numbers, molecule.positions, margins)
    stable = stable_atoms(molecule.numbers, orders)
    smiles = _largest_fragment(molecule.numbers, orders)
    return EdmVerdict(int(stable.sum()), bool(stable.all()), smiles is not None, smiles or "")


def bond_orders(
    numbers: Int[np.ndarray, "atoms"],
    positions: Float[np.ndarray, "atoms 3"],
    margins: tuple[float, float, float] = (10.0, 5.0, 3.0),
) -> Int[np.ndarray, "atoms atoms"]:
    """The order of every bond, 0 where there is none.

    Two atoms are bonded when they are closer than a single bond's length and its margin; the bond is double, then
    triple, when they are closer than these with theirs. Pairs that the tables do not hold have no bond.

    Args:
        numbers: atomic numbers.
        positions: Angstrom.
        margins: of single, double and triple bonds, picometres.
    """
    distances = 100 * np.linalg.norm(positions[:, None] - positions, axis=2)
    np.fill_diagonal(distances, np.inf)
    order = np.zeros(distances.shape, dtype=np.int64)
    reached = np.ones(distances.shape, dtype=bool)
    for lengths, margin in zip(_lengths(), margins, strict=True):
        reached = reached & (distances < lengths[numbers[:, None], numbers] + margin)
        order += reached
    return order


def stable_atoms(
    numbers: Int[np.ndarray, "atoms"], orders: Int[np.ndarray, "atoms atoms"]
) -> Bool[np.ndarray, "atoms"]:
    """Whether each atom's bond orders sum to a valence its element is allowed."""
    total = orders.sum(axis=1)
    return _allowed()[numbers, np.minimum(total, _HIGHEST + 1)]


@cache
def _lengths() -> tuple[Float[np.ndarray, "elements elements"], ...]:
    """Of single, double, triple bonds by atomic numbers, in picometres; minus infinity where there is none."""
    return tuple(map(_table, (SINGLE, DOUBLE, TRIPLE)))


def _table(lengths: dict[str, str]) -> Float[np.ndarray, "elements elements"]:
    table = np.full((len(SYMBOLS), len(SYMBOLS)), -np.inf)
    for first, listed in lengths.items():
        words = listed.split()
        for second, length in zip(words[::2], words[1::2], strict=True):
            pair = (ATOMIC_NUMBER[first], ATOMIC_NUMBER[second])
            table[pair] = table[pair[::-1]] = float(length)
    return table


@cache
def _allowed() -> np.ndarray:
    """Whether an element (row) is allowed a sum of bond orders (column, the last for all that are higher)."""
    table = np.zeros((len(SYMBOLS), _HIGHEST + 2), dtype=bool)
    for symbol, valences in VALENCES.items():
        table[ATOMIC_NUMBER[symbol], list(valences)] = True
    return table


def _largest_fragment(numbers: Int[np.ndarray, "atoms"], orders: Int[np.ndarray, "atoms atoms"]) -> str | None:
    """SMILES of the fragment of most atoms (of equal ones the first); None when RDKit accepts it not as a whole."""
    from rdkit import Chem, rdBase

    mol = Chem.RWMol()
    for number in numbers.tolist():
        mol.AddAtom(Chem.Atom(number))
    for first, second in np.argwhere(np.triu(orders)).tolist():
        # RDKit numbers SINGLE, DOUBLE and TRIPLE from 1 to 3
        mol.AddBond(first, second, Chem.BondType.values[int(orders[first, second])])
    with rdBase.BlockLogs():
        # returns the step that failed, 0 when none did
        if Chem.SanitizeMol(mol, catchErrors=True):
            return None
        return Chem.MolToSmiles(max(Chem.GetMolFrags(mol, asMols=True), key=lambda piece: piece.GetNumAtoms()))
