"""Templates: a space group and the Wyckoff letters that each element occupies, as the user writes them.

The text is ``"221 Sr:a Ti:b O:c"``: a space group by number or symbol, then each element with its letters, one letter
an orbit, written together (``O:cd``, and ``O:ii`` for two orbits of one position): no commas, so that it is one field
of a CSV.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetry_finder import find_symmetric
from unigen.elements import (
    ATOMIC_NUMBER,
    SYMBOLS,
    composition_pairs,
    format_formula,
    parse_formula,
    reduce_counts,
)
from unigen.errors import UserError
from unigen.request import CrystalRequest
from unigen.symmetry.space_groups import LETTERS, space_group, space_group_number

SYMPREC = 0.01
"""Angstrom: the tolerance at which stated space groups hold, and the default of pymatgen's SpacegroupAnalyzer."""

_FORM = "a space group and letters by element, such as '221 Sr:a Ti:b O:c'"


@dataclass(frozen=True)
class Template:
    """A space group and its occupied positions, however given, in the order in which the grammar writes them.

    Attributes:
        space_group: international number.
        numbers: atomic number of each orbit, shape (orbits,).
        letters: position of each orbit, 0 = 'a', shape (orbits,).

    Raises:
        UserError: no such space group, element or letter; no orbits; a position without free parameters twice.

    Example:
        >>> str(Template(221, (8, 22, 38), (2, 1, 0)))
        '221 Sr:a Ti:b O:c'
    """

    space_group: int
    numbers: tuple[int, ...]
    letters: tuple[int, ...]

    def __post_init__(self) -> None:
        assert len(self.numbers) == len(self.letters), "an element and a letter for each orbit"
        group = space_group(self.space_group)
        where = f"{group.symbol} ({group.number})"
        if not self.letters:
            raise UserError("no orbits", where=where, wanted=_FORM)
        for number in self.numbers:
            if not 1 <= number < len(SYMBOLS):
                raise UserError("no such element", where=where, got=number, wanted=f"1 to {len(SYMBOLS) - 1}")
        for letter, times in sorted(Counter(self.letters).items()):
            if not 0 <= letter < len(group.letters):
                raise UserError("no such letter", where=where, got=letter, wanted=f"0 to {len(group.letters) - 1}")
            if times > 1 and not group.dof[letter]:
                name = f"{group.multiplicity[letter]}{LETTERS[letter]}"
                raise UserError(f"{name} is a fixed position, it holds one orbit", where=where, got=f"{times} orbits")
        rank = {number: index for index, (number, _) in enumerate(composition_pairs(self.counts))}
        orbits = sorted(zip(self.numbers, self.letters, strict=True), key=lambda orbit: (rank[orbit[0]], orbit[1]))
        object.__setattr__(self, "numbers", tuple(number for number, _ in orbits))
        object.__setattr__(self, "letters", tuple(letter for _, letter in orbits))

    @property
    def counts(self) -> dict[int, int]:
        """Atoms in the primitive cell by atomic number."""
        sizes, counts = space_group(self.space_group).primitive_multiplicity, Counter[int]()
        for number, letter in zip(self.numbers, self.letters, strict=True):
            counts[number] += int(sizes[letter])
        return dict(counts)

    def __str__(self) -> str:
        written: dict[int, str] = {}
        for number, letter in zip(self.numbers, self.letters, strict=True):
            written[number] = written.get(number, "") + LETTERS[letter]
        return " ".join([str(self.space_group), *(f"{SYMBOLS[number]}:{text}" for number, text in written.items())])


def parse_template(text: str) -> Template:
    """Read a template; ``str`` of the result is read back as the same.

    Raises:
        UserError: naming the template and what is wrong in it.

    Example:
        >>> parse_template("Fm-3m Na:a Cl:b").counts
        {11: 1, 17: 1}
    """
    group, *elements = text.split() or [""]
    try:
        number = space_group_number(group, standard=True)
        orbits = [orbit for element in elements for orbit in _orbits(element, number)]
        return Template(number, tuple(n for n, _ in orbits), tuple(letter for _, letter in orbits))
    except UserError as error:
        raise UserError(str(error), where=f"template {text!r}") from error


def _orbits(text: str, number: int) -> list[tuple[int, int]]:
    """(atomic number, letter) of each orbit in ``"O:cd"``."""
    symbol, _, letters = text.partition(":")
    if not letters:
        raise UserError(f"cannot read {text!r}", wanted=_FORM)
    if symbol not in ATOMIC_NUMBER:
        raise UserError(f"unknown element {symbol!r}", wanted=_FORM)
    group = space_group(number)
    unknown = [letter for letter in letters if letter not in group.letters]
    if unknown:
        raise UserError(
            f"{group.symbol} has no position {unknown[0]!r}",
            got=text,
            wanted=f"letters {group.letters[0]} to {group.letters[-1]}, written together, such as O:cd",
        )
    return [(ATOMIC_NUMBER[symbol], group.letters.index(letter)) for letter in letters]


def apply_template(request: CrystalRequest) -> CrystalRequest:
    """The request with the formula, n_atoms and space group that its template implies; without a template, itself.

    Applied twice it does no more than once.

    Raises:
        UserError: the template cannot be read, or another field of the request contradicts it.
    """
    if request.template is None:
        return request
    template = parse_template(request.template)
    counts, group = template.counts, space_group(template.space_group)
    reduced, units = reduce_counts(counts)
    formula = request.formula and format_formula(reduce_counts(parse_formula(request.formula))[0])
    facts = {
        "formula": (formula, format_formula(reduced)),
        "z": (request.z, units),
        "n_atoms": (request.n_atoms, sum(counts.values())),
        "space_group": (request.space_group, group.number),
        "crystal_system": (request.crystal_system, group.crystal_system),
    }
    for name, (given, wanted) in facts.items():
        allowed = given if isinstance(given, tuple) else (None, given)
        if given is not None and wanted not in allowed:
            raise UserError(
                f"{name} and template {request.template!r} contradict each other",
                got=f"{name} {getattr(request, name)}",
                wanted=wanted,
                next_step=f"leave {name} out: the template says it",
            )
    return replace(
        request,
        formula=request.formula or format_formula(reduced),
        n_atoms=sum(counts.values()),
        space_group=group.number,
    )


def template_of(crystal: Crystal) -> str | None:
    """Space group and orbits of a structure at SYMPREC, as text; None where they do not describe it.

    A structure may have more symmetry than the template it was drawn with, when its numbers take special values.
    """
    symmetric = find_symmetric(crystal, symprecs=(SYMPREC,), faithful=SYMPREC)
    if symmetric.symprec == 0:
        return None
    return str(Template(symmetric.space_group, tuple(symmetric.numbers.tolist()), tuple(symmetric.letters.tolist())))
