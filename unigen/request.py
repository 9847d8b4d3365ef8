"""What the user wants generated: the same object in Python, on the command line and in request files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite

from unigen.elements import (
    ATOMIC_NUMBER,
    SPACE_GROUPS,
    SYSTEM_SPACE_GROUPS,
    chemical_rank,
    parse_formula,
    reduce_counts,
)
from unigen.errors import UserError

ALL_PAIRS = "all"
"""Stands for every pair of elements that is not named by itself."""

LARGEST_DISTANCE = 20.0
"""Angstrom, that two elements may be asked to keep: more than the longest edge of most cells; searches for neighbours
grow with its cube."""

Limits = tuple[float | None, float | None]
"""Lowest and highest value, both allowed; None: no limit."""


@dataclass(frozen=True, kw_only=True)
class CrystalRequest:
    """One crystal wanted; every field may be left open (all open: de novo).

    Attributes:
        formula: composition such as ``"SrTiO3"``, read as a ratio: ``z`` or ``n_atoms`` say how much a cell holds.
        z: formula units in the primitive cell; ``None`` lets the generator choose from its data's statistics.
        n_atoms: atoms in the primitive cell, another way to fix ``z`` (or the size of a de novo cell).
        elements: only these may occur.
        must_contain: these have to occur; a chemical system is both.
        charge_balanced: without a formula: only compositions whose charges can balance (SMACT; alloys pass).
        space_group: international number, 1 to 230, of the space group the crystal is to have, or several to choose
            from.
        crystal_system: the crystal system it is to have, a name of SYSTEM_SPACE_GROUPS.
        properties: wanted values by name, as the model knows them (``density`` in g/cm^3, ``band_gap`` in eV, ...).
        template: space group and Wyckoff letters by element, such as ``"221 Sr:a Ti:b O:c"``; kept as text here, read
            (and the formula and size that follow from it filled in) by ``unigen.crystals.template.apply_template``.
        pxrd: path of a powder pattern that the crystal is to explain, for those who rank candidates by it, and for
            models that are asked for it by its peaks.
        id: the user's name for this request, carried to the samples (for scoring: the id of the reference crystal).

    Raises:
        UserError: a formula that does not parse, an unknown element, fields that contradict each other.
    """

    formula: str | None = None
    z: int | None = None
    n_atoms: int | None = None
    elements: tuple[str, ...] | None = None
    must_contain: tuple[str, ...] | None = None
    charge_balanced: bool = False
    space_group: int | tuple[int, ...] | None = None
    crystal_system: str | None = None
    template: str | None = None
    properties: Mapping[str, float] = field(default_factory=dict, hash=False)
    min_distance: float | Mapping[str, float] | None = field(default=None, hash=False)
    volume_per_atom: Limits | None = None
    density: Limits | None = None
    distinct: str | None = None
    pxrd: str | None = None
    id: str | None = None

    def __post_init__(self) -> None:
        check_values(self.properties)
        self._check_limits()
        for name in ("z", "n_atoms"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: not a positive count", got=value)
        self._check_elements()
        self._check_symmetry()
        if self.formula is not None:
            self._check_formula(self.formula)
        elif self.z is not None and self.template is None:
            raise UserError("z: formula units of what?", next_step="give a formula too, or n_atoms instead")

    def _check_elements(self) -> None:
        for name in ("elements", "must_contain"):
            symbols = getattr(self, name)
            if symbols is None:
                continue
            if not symbols:
                raise UserError(f"{name}: none given", wanted="symbols such as Li,Fe,P,O")
            unknown = [symbol for symbol in symbols if symbol not in ATOMIC_NUMBER]
            if unknown:
                raise UserError(f"{name}: unknown element {unknown[0]!r}", wanted="symbols such as Li,Fe,P,O")
        required = set(self.must_contain or ())
        missing = required - set(self.elements if self.elements is not None else required)
        if missing:
            raise UserError("must_contain and elements contradict each other", got=", ".join(sorted(missing)))
        if self.n_atoms is not None and len(required) > self.n_atoms:
            raise UserError(f"must_contain: more elements than atoms in {self.n_atoms}", got=len(required))

    def _check_limits(self) -> None:
        """Also writes them in one way, so that equal wishes are equal requests."""
        object.__setattr__(self, "min_distance", _distances(self.min_distance))
        for name in ("volume_per_atom", "density"):
            object.__setattr__(self, name, _limits(name, getattr(self, name)))
        if self.distinct is not None:
            if self.distinct != "space_group":
                raise UserError("distinct: unknown word", got=self.distinct, wanted="space_group")
            if self.formula is None and self.template is None:
                raise UserError(
                    "distinct: without a formula every sample has its own composition", next_step="give one"
                )

    def _check_symmetry(self) -> None:
        for number in self.given_groups:
            if number not in SPACE_GROUPS:
                raise UserError("space_group: there is no such space group", got=number, wanted="1 to 230")
        if isinstance(self.space_group, tuple):  # one way to write it, so that equal wishes are equal requests
            if not self.space_group:
                raise UserError("space_group: none given", wanted="numbers or symbols, such as 221,140,62")
            several = tuple(sorted(set(self.space_group)))
            object.__setattr__(self, "space_group", several if len(several) > 1 else several[0])
        if self.crystal_system is not None and self.crystal_system not in SYSTEM_SPACE_GROUPS:
            raise UserError(
                f"crystal_system: unknown crystal system {self.crystal_system!r}",
                wanted=f"one of {', '.join(SYSTEM_SPACE_GROUPS)}",
            )
        if not self.space_groups:
            system = SYSTEM_SPACE_GROUPS[str(self.crystal_system)]
            raise UserError(
                "space_group and crystal_system contradict each other",
                got=f"space group {', '.join(map(str, self.given_groups))}, {self.crystal_system}",
                wanted=f"a space group from {system[0]} to {system[-1]}",
            )
        if self.template is not None and not self.template.strip():
            raise UserError("template: empty", wanted="such as '221 Sr:a Ti:b O:c'")

    def _check_formula(self, formula: str) -> None:
        counts = parse_formula(formula)
        if self.elements is not None:
            allowed = {ATOMIC_NUMBER[symbol] for symbol in self.elements}
            if not set(counts) <= allowed:
                raise UserError(f"elements exclude the formula {formula}", got=",".join(self.elements))
        missing = [symbol for symbol in self.must_contain or () if ATOMIC_NUMBER[symbol] not in counts]
        if missing:
            raise UserError(f"must_contain: not in the formula {formula}", got=",".join(missing))
        per_unit = sum(reduce_counts(counts)[0].values())
        if self.n_atoms is not None and self.n_atoms % per_unit:
            raise UserError(
                f"n_atoms: {self.n_atoms} is no whole number of formula units of {formula}",
                wanted=f"a multiple of {per_unit}",
            )
        if self.z is not None and self.n_atoms not in (None, self.z * per_unit):
            raise UserError("z and n_atoms contradict each other", got=f"z {self.z}, n_atoms {self.n_atoms}")

    @property
    def space_groups(self) -> frozenset[int]:
        """Numbers of the space groups that ``space_group`` and ``crystal_system`` leave: all where neither is given."""
        system = SPACE_GROUPS if self.crystal_system is None else SYSTEM_SPACE_GROUPS[self.crystal_system]
        return frozenset(self.given_groups or SPACE_GROUPS).intersection(system)

    @property
    def given_groups(self) -> tuple[int, ...]:
        """Numbers of the space groups that are named; none where any may come."""
        return (self.space_group,) if isinstance(self.space_group, int) else self.space_group or ()

    @property
    def asks_symmetry(self) -> bool:
        """Whether more is wanted than a composition."""
        return not (self.space_group is self.crystal_system is self.template is None)

    @property
    def limits_geometry(self) -> bool:
        """Whether there are distances, volumes or densities that no answer may have."""
        return not (self.min_distance is self.volume_per_atom is self.density is None)

    @property
    def pair_distances(self) -> dict[str, float]:
        """Angstrom that atoms have to keep, by pair of elements (`pair_name`) or `ALL_PAIRS`."""
        return dict(self.min_distance) if isinstance(self.min_distance, Mapping) else {}

    @property
    def units(self) -> int | None:
        """Formula units in the cell, when the request fixes them."""
        if self.formula is None:
            return None
        if self.n_atoms is not None:
            return self.n_atoms // sum(reduce_counts(parse_formula(self.formula))[0].values())
        return self.z

    @property
    def counts(self) -> dict[int, int] | None:
        """Atoms in the cell by atomic number, when the request fixes them."""
        if self.formula is None or self.units is None:
            return None
        return {number: count * self.units for number, count in reduce_counts(parse_formula(self.formula))[0].items()}

    def to_dict(self) -> dict[str, object]:
        """The fields that are set, ready for JSON."""
        fields = asdict(self) | {"properties": dict(self.properties)}
        return {name: value for name, value in fields.items() if value not in (None, {}, False)}


def pair_name(first: str, second: str) -> str:
    """Two symbols as distances are named, from cation to anion: ``"Ti-O"`` also of O and Ti."""
    return "-".join(sorted((first, second), key=lambda symbol: chemical_rank(ATOMIC_NUMBER[symbol])))


def _distances(given: float | Mapping[str, float] | None) -> dict[str, float] | None:
    """Distances by name of the pair, checked."""
    if given is None:
        return None
    named = given if isinstance(given, Mapping) else {ALL_PAIRS: given}
    distances: dict[str, float] = {}
    for pair, value in named.items():
        symbols = str(pair).split("-")
        if pair != ALL_PAIRS and (len(symbols) != 2 or not set(symbols) <= set(ATOMIC_NUMBER)):
            raise UserError(f"min_distance: not a pair of elements {pair!r}", wanted=f"such as Ti-O, or {ALL_PAIRS}")
        if not 0 < value <= LARGEST_DISTANCE:
            wanted = f"more than 0, at most {LARGEST_DISTANCE:g}"
            raise UserError(f"min_distance {pair}: no such distance", got=f"{value:g} Angstrom", wanted=wanted)
        name = pair if pair == ALL_PAIRS else pair_name(*symbols)
        if name in distances:
            raise UserError(f"min_distance {name}: given twice")
        distances[name] = float(value)
    if not distances:
        raise UserError("min_distance: none given", wanted="1.8, or by pair Ti-O=1.7,O-O=2.2")
    return distances


def _limits(name: str, given: Limits | None) -> Limits | None:
    """Lowest and highest, checked."""
    if given is None:
        return None
    low, high = given
    ends = [end for end in (low, high) if end is not None]
    if not ends or not all(isfinite(end) and end > 0 for end in ends) or ends[0] > ends[-1]:
        text = ":".join("" if end is None else f"{end:g}" for end in (low, high))
        raise UserError(f"{name}: no such range", got=text, wanted="positive numbers, the lower first, such as 12:18")
    return (None if low is None else float(low), None if high is None else float(high))


_NEVER_NEGATIVE = {"density": "g/cm^3", "band_gap": "eV"}
"""Properties of crystals, and their units, of which nothing can have less than nothing."""


def check_values(properties: Mapping[str, float]) -> None:
    """Raises UserError for a wanted value that is no number, or that nothing in nature can have."""
    for name, value in properties.items():
        if not isfinite(value):
            raise UserError(f"property {name}: not a number", got=value)
        if name in _NEVER_NEGATIVE and (value < 0 or (name == "density" and value == 0)):
            unit = _NEVER_NEGATIVE[name]
            wanted = f"more than 0 {unit}" if name == "density" else f"0 {unit} or more"
            raise UserError(f"property {name}: nothing has such a value", got=f"{value:g} {unit}", wanted=wanted)


@dataclass(frozen=True, kw_only=True)
class MoleculeRequest:
    """One molecule wanted; every field may be left open (all open: de novo).

    Attributes:
        smiles: the molecule itself: conformers of it are drawn, with the stereo that the text says.
        formula: exact composition such as ``"C7H10O2"``.
        properties: wanted values by name, in the units of the model's training data, such as ``{"gap": 0.25}``.
        scaffold: an SD entry with positions; its atoms are kept where they are, and more are added to it. Of two
            fragments, a linker is written between them.
        attach: atoms of the scaffold, numbered from 1 as in the entry, that more may be bonded to; of a fragment of
            which none is named, all that have a hydrogen.
        largest_fragment: of a SMILES or scaffold in several pieces take the largest.
        id: the user's name for this request, carried to the samples.

    Raises:
        UserError: fields that contradict each other, a formula that does not parse, a value that is not finite.
    """

    smiles: str | None = None
    formula: str | None = None
    properties: Mapping[str, float] = field(default_factory=dict)
    scaffold: str | None = None
    attach: Sequence[int] = ()
    largest_fragment: bool = False
    id: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "attach", tuple(self.attach))  # a list, of JSON, cannot be looked up by
        if self.attach and self.scaffold is None:
            raise UserError("attach: names atoms of a scaffold", wanted="a scaffold, too")
        if self.smiles is not None and (self.formula is not None or self.scaffold is not None):
            other = "formula" if self.formula is not None else "scaffold"
            raise UserError(f"smiles and {other} exclude each other: a SMILES says all of the molecule's graph")
        if self.formula is not None:
            parse_formula(self.formula)
        check_values(self.properties)

    @property
    def counts(self) -> dict[int, int] | None:
        """Atoms by atomic number, when the formula fixes them."""
        return None if self.formula is None else dict(parse_formula(self.formula))

    def to_dict(self) -> dict[str, object]:
        """The fields that are set, ready for JSON."""
        return {name: value for name, value in asdict(self).items() if value not in (None, {}, (), False)}
