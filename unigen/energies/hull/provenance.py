"""What energies are, as far as their files and their values tell: functional, corrections, total or of formation.

Energies of two functionals, corrected and uncorrected ones, total energies and formation energies are eV apart; a hull
of both is a hull of nothing. Entries of the Materials Project say what they are (``run_type``, ``energy_adjustments``):
Wang et al., Scientific Reports 11, 15496 (2021), for the corrections of 2020; Kingsbury et al., npj Computational
Materials 8, 195 (2022), for the mixing of GGA(+U) and r2SCAN.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from unigen.elements import ATOMIC_NUMBER, parse_formula
from unigen.errors import UserError
from unigen.shapes import Float, Int

Quantity = Literal["formation", "total"]

PBE, R2SCAN, MIXED = "PBE(+U)", "r2SCAN", "PBE(+U)/r2SCAN mixed"
MP2020, MIXING, UNNAMED = "MP2020", "mixing", "unnamed"


@dataclass(frozen=True)
class KnownScheme:
    """What the energies of a named scheme are.

    Attributes:
        name: as potentials spell it.
        functional: of all entries.
        corrections: whether MP2020's are in its energies; else there are none.
        lowest: eV/atom that no total energy of it lies below: tungsten is the lowest, at -13 with PBE;
            r2SCAN counts the cores of heavy atoms otherwise, down to some -40.
    """

    name: str
    functional: str
    corrections: bool
    lowest: float


KNOWN_SCHEMES = {
    scheme.name.casefold(): scheme
    for scheme in (
        KnownScheme("MP2020", PBE, corrections=True, lowest=-16.0),
        KnownScheme("MP-uncorrected", PBE, corrections=False, lowest=-16.0),
        KnownScheme("r2SCAN", R2SCAN, corrections=False, lowest=-60.0),
    )
}


def scheme_name(given: str) -> str:
    """A scheme as potentials spell it; one that is not known stays as given."""
    known = KNOWN_SCHEMES.get(given.strip().casefold())
    return known.name if known else given.strip()


def leaves_corrections_out(scheme: str) -> bool:
    """Whether a scheme is known to be of energies as computed."""
    known = KNOWN_SCHEMES.get(scheme.casefold())
    return known is not None and not known.corrections


def _allows_mixing(scheme: str) -> bool:
    """Whether a scheme says of itself that it mixes functionals, such as ``GGA_GGA+U_R2SCAN``, the name MP gives it."""
    return "mix" in scheme.casefold() or functional_of(scheme) == MIXED


def functional_of(run_type: object) -> str:
    """The functional that a run type, a thermo type or the end of an entry's id names; empty where it names none.

    Example:
        >>> functional_of("GGA+U"), functional_of("R2SCAN"), functional_of("GGA_GGA+U_R2SCAN")
        ('PBE(+U)', 'r2SCAN', 'PBE(+U)/r2SCAN mixed')
    """
    text = str(run_type or "").strip().split(" ")[0].rpartition(".")[2].upper()
    words = set(re.split(r"[_/]", text.replace("GGA_U", "GGA+U").replace("PBE_U", "PBE+U"))) - {""}
    named = {_FUNCTIONALS.get(word, word) for word in words}
    if named == {PBE, R2SCAN}:
        return MIXED
    return named.pop() if len(named) == 1 else "/".join(sorted(named))


_FUNCTIONALS = {"GGA": PBE, "GGA+U": PBE, "PBE": PBE, "PBE+U": PBE, "R2SCAN": R2SCAN, "R2SCAN+U": R2SCAN}


_UNNAMED = ("", "Constant energy adjustment", "Manual energy adjustment")
"""What pymatgen calls corrections that nobody gave a name."""


def correction_of(adjustment: Mapping[str, object]) -> str:
    """Whose correction an energy adjustment is, by its name or the class that made it."""
    name = str(adjustment.get("name") or "")
    maker = adjustment.get("cls")
    made_by = str(maker.get("@class") or "") if isinstance(maker, Mapping) else ""
    if "mixing adjustment" in name or "MixingScheme" in made_by:
        return MIXING
    if name.startswith("MP2020") or made_by == "MaterialsProject2020Compatibility":
        return MP2020
    if name in _UNNAMED and not made_by:
        return UNNAMED
    return made_by or name.partition("(")[0].strip()


@dataclass
class Provenance:
    """What the entries of a source say of themselves, gathered while they are read.

    Attributes:
        functionals: the first entry of each functional that is named.
        corrections: the first entry of each kind of correction, with the name of the correction.
        total: the first entry that is a total energy by its class.
        corrected: entries whose energy was corrected.
    """

    functionals: dict[str, str] = field(default_factory=dict)
    corrections: dict[str, str] = field(default_factory=dict)
    total: str = ""
    corrected: int = 0


def check_one_scheme(sources: Sequence[Provenance], scheme: str) -> list[str]:
    """Whether energies may stand in one hull of this scheme; returns what is to be said of them.

    Raises:
        UserError: two functionals, or not the scheme's; corrections of another scheme. Both sides are named.
    """
    functionals = {name: entry for each in reversed(sources) for name, entry in each.functionals.items()}
    corrections = {name: entry for each in reversed(sources) for name, entry in each.corrections.items()}
    known, mixed = KNOWN_SCHEMES.get(scheme.casefold()), _allows_mixing(scheme)
    if mixed:
        functionals = {name: entry for name, entry in functionals.items() if name not in (PBE, R2SCAN, MIXED)}
    if len(functionals) + mixed * bool(functionals) > 1:
        named = "; ".join(f"{name}: {entry}" for name, entry in sorted(functionals.items()))
        raise UserError("energies of two functionals cannot stand in one hull", got=named, wanted=scheme)
    if known is not None and functionals and known.functional not in functionals:
        name, entry = next(iter(functionals.items()))
        raise UserError(
            f"energies of another functional than {scheme}'s", got=f"{name}: {entry}", wanted=known.functional
        )
    if known is not None and not known.corrections:
        left_out = sum(each.corrected for each in sources)
        return [f"corrections of {left_out:,} entries left out: {scheme} has none"] if left_out else []
    allowed = {UNNAMED} | ({MIXING, MP2020} if mixed else {MP2020} if known else set())
    others = {name: entry for name, entry in corrections.items() if name not in allowed}
    # a scheme that is not known may have one kind of correction, but mixing goes by its name only
    if MIXING in others or (others and (known or mixed)) or len(others) > 1:
        named = "; ".join(f"{name}: {entry}" for name, entry in sorted(corrections.items()))
        wanted = "the corrections of one scheme" if known is None else f"{scheme}'s own corrections"
        step = "a scheme named after its mixing, such as MP-mixed, if that is what you want" if MIXING in others else ""
        raise UserError(f"corrections that {scheme} does not have", got=named, wanted=wanted, next_step=step)
    return []


def check_column(column: str, quantity: Quantity, scheme: str, where: str) -> None:
    """Whether a column's name contradicts what its energies are said to be.

    Raises:
        UserError: it does, and how.
    """
    name = column.casefold()
    said = ""
    if re.search(r"above_?hull|decomposition", name):
        said = "energies above a hull, which are no energies of a hull"
    elif quantity == "total" and "formation" in name:
        said = "formation energies"
    elif quantity == "formation" and re.search(r"total|uncorrected|(?<!un)corrected", name):
        said = "total energies"
    elif leaves_corrections_out(scheme) and re.search(r"(?<!un)corrected", name):
        said = "corrected energies"
    elif "uncorrected" in name and scheme.casefold() == MP2020.casefold():
        said = "uncorrected energies"
    if said:
        raise UserError(
            f"the column {column!r} is named after {said}",
            where=where,
            wanted=f"{quantity} energies of the scheme {scheme}",
            next_step="give another --quantity, --energy-scheme or --energy, or rename the column",
        )


_STABLEST = -5.0
"""eV/atom: formation energies lie above. The lowest of 95,118 formulas of MP is -4.61 (La2Th8O19)."""

_ERRONEOUS_SHARE = 0.05
"""Share of formulas beyond a bound that is taken for errors of the data, which are there; more are another quantity."""

_NEAR_ZERO, _NOT_ZERO = 0.05, -0.25
"""eV/atom: elements in their stable form are 0 in formation energies (near it where references are fitted), and -0.3
(mercury) to -13 in total energies of any functional, noble gases apart."""

_NOBLE_GASES = {ATOMIC_NUMBER[symbol] for symbol in ("He", "Ne", "Ar", "Kr", "Xe", "Rn")}


def check_quantity(
    formulas: Sequence[str],
    energies: Float[np.ndarray, "formulas"],
    ids: Sequence[str],
    quantity: Quantity,
    scheme: str,
    total: str = "",
) -> list[str]:
    """Whether values can be what they are said to be; returns what is to be said of them.

    Args:
        formulas: reduced, each once.
        energies: lowest of each, eV/atom.
        ids: of the entries.
        quantity: what they are said to be.
        scheme: of the energies.
        total: an entry that is a total energy by its class; empty where there is none.

    Raises:
        UserError: they are the other quantity, or energies of cells; an entry that shows it is named.
    """
    counts = [parse_formula(formula) for formula in formulas]
    elements = {next(iter(each)): row for row, each in enumerate(counts) if len(each) == 1}
    rows = [row for number, row in elements.items() if number not in _NOBLE_GASES]
    middle = float(np.median(energies[rows])) if rows else None

    def shown(row: int) -> str:
        return f"{ids[row]}: {formulas[row]} at {energies[row]:.3f} eV/atom"

    if quantity == "formation":
        # half of the elements, so that an element with a wrong value does not stop a set
        if middle is not None and middle < _NOT_ZERO:
            row = rows[int(np.argsort(energies[rows])[len(rows) // 2])]
            raise _other_quantity("formation", "elements are at 0", shown(row), "total")
        low = np.flatnonzero(energies < _STABLEST)
        if len(low) > _ERRONEOUS_SHARE * len(formulas):
            row = int(energies.argmin())
            raise _other_quantity("formation", f"nothing lies below {_STABLEST:g}", shown(row), "total")
        if total and middle is None:
            by_class = f"{total}, a total energy by its class"
            raise _other_quantity("formation", "no total energies", by_class, "total")
        return _strangers(formulas, low, f"below {_STABLEST:g} eV/atom, where no formation energy lies")
    known = KNOWN_SCHEMES.get(scheme.casefold())
    notes: list[str] = []
    if middle is not None and abs(middle) < _NEAR_ZERO:
        row = rows[int(np.argsort(energies[rows])[len(rows) // 2])]
        if known is not None:
            raise _other_quantity("total", "elements are far from 0", shown(row), "formation")
        notes.append(f"elements are at 0, as in formation energies: {shown(row)}")
    if known is not None and (energies < known.lowest).mean() > _ERRONEOUS_SHARE:
        raise UserError(
            "these are not energies an atom",
            got=shown(int(energies.argmin())),
            wanted=f"above {known.lowest:g} eV/atom in {scheme}",
            next_step="divide energies of cells by their atoms",
        )
    bound = [row for row, each in enumerate(counts) if all(number in elements for number in each)]
    formation = np.array([_formation(counts[row], energies, row, elements) for row in bound], dtype=np.float64)
    low = np.array(bound, dtype=np.int64)[formation < _STABLEST]
    if len(low) > _ERRONEOUS_SHARE * len(bound):
        row = bound[int(formation.argmin())]
        parts = "; ".join(shown(elements[number]) for number in counts[row])
        raise UserError(
            "energies of two kinds: a compound too far below its elements to be of one scheme with them",
            got=f"{shown(row)}; {parts}",
            wanted=f"formation energies above {_STABLEST:g} eV/atom",
        )
    return [*notes, *_strangers(formulas, low, f"more than {-_STABLEST:g} eV/atom below their elements")]


def _formation(
    counts: Mapping[int, int], energies: Float[np.ndarray, "formulas"], row: int, elements: Mapping[int, int]
) -> float:
    parts = sum(count * energies[elements[number]] for number, count in counts.items())
    return float(energies[row] - parts / sum(counts.values()))


def _other_quantity(quantity: str, law: str, got: str, other: str) -> UserError:
    return UserError(
        f"these are no {quantity} energies",
        got=got,
        wanted=f"{quantity} energies: {law}",
        next_step=f"give --quantity {other} if that is what they are",
    )


def _strangers(formulas: Sequence[str], rows: Int[np.ndarray, "rows"], what: str) -> list[str]:
    if not len(rows):
        return []
    named = ", ".join(formulas[row] for row in rows[:3].tolist())
    return [f"{len(rows):,} formulas {what}: {named}{', ...' if len(rows) > 3 else ''}"]
