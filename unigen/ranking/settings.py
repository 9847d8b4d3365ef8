"""How answers are chosen among candidates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from unigen.errors import UserError

By = Literal["likelihood", "energy", "pxrd", "property"]

CANDIDATES = 20
"""Candidates a request where nothing else is said: of MP-20's test set 88 % are right with the best of 20."""

_OF_ENERGY = {
    "potential": None,
    "energy_scheme": None,
    "relax": 0,
    "fix_symmetry": False,
    "pressures": (),
    "hull": None,
}
"""Settings that ranking by energy alone has, and what they are when nobody asks."""


@dataclass(frozen=True, kw_only=True)
class RankSettings:
    """How many candidates of a request are drawn, and how the answers are chosen.

    Attributes:
        candidates: drawn for each request.
        by: likelihood (what the generator itself holds likeliest), energy (by a potential), pxrd (a powder pattern that
            the request names), property (how far from what the request asks for).
        potential: of energies, a name or import path that `find_potential` knows; by default chgnet.
        energy_scheme: of a potential by import path.
        relax: so many distinct ones of a request, the best by single points, are relaxed and ranked again.
        fix_symmetry: relax within the space group.
        pressures: GPa; at each of them the relaxed ones are relaxed again, and their enthalpies compared.
        hull: reference set; answers are told their energy above it.
        predictor: of properties of molecules, a bundled name or a model folder.

    Raises:
        UserError: a number that makes no sense, a setting of another way to rank.
    """

    candidates: int = CANDIDATES
    by: By = "likelihood"
    potential: str | None = None
    energy_scheme: str | None = None
    relax: int = 0
    fix_symmetry: bool = False
    pressures: tuple[float, ...] = ()
    hull: str | None = None
    predictor: str | None = None

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise UserError("no such way to rank", got=self.by, wanted=", ".join(get_args(By)))
        if self.candidates < 1 or self.relax < 0:
            raise UserError(
                "candidates must be positive, relax not negative",
                got=f"candidates {self.candidates}, relax {self.relax}",
            )
        for name, unset in _OF_ENERGY.items():
            if self.by != "energy" and getattr(self, name) != unset:
                raise UserError(f"{name}: only ranking by energy has it", got=f"by {self.by}", wanted="by energy")
        if self.predictor is not None and self.by != "property":
            raise UserError("predictor: only ranking by property has it", got=f"by {self.by}", wanted="by property")
        if not self.relax and (self.pressures or self.fix_symmetry):
            name = "pressures" if self.pressures else "fix_symmetry"
            raise UserError(f"{name}: nothing is relaxed", next_step="say how many of the best are, such as relax 5")
        if any(high <= low for low, high in zip(self.pressures, self.pressures[1:], strict=False)):
            raise UserError("pressures must ascend", got=list(self.pressures), wanted="such as 0,20,50")
