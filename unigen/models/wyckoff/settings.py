"""How a wyckoff model draws."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.config import check_ranges
from unigen.models.generator import VectorSettings


@dataclass(frozen=True, kw_only=True)
class WyckoffSettings(VectorSettings):
    """What is drawn, which known structure it follows and how far it departs from there.

    Attributes:
        source_temperature: of the choice of a known structure to follow: 0 follows the likeliest first and never the
            same twice, 1 draws them (without replacement) as probable as the model holds them.
        departure: spread of the numbers that follow a known structure: 0 gives the likeliest displacement, 1 draws it
            as the model holds it. On 840 validation crystals 0 has RMSE .030 at a match rate of 77.5 %, 1 has .033 at
            77.4 % (``eval/results/ablation/decode.json``).
        anew: the probability of "none of the known structures" is multiplied by this: a structure that is written anew
            is right about so often where none of the known ones is. At 1 the match rate is 75.4 % (same file).
        guidance: how much stronger than the model holds it properties asked for count; 1 is the model itself.
        within: de novo only unknown formulas, at most so far (chemical distance) from a known cell of as many atoms;
            None: any composition.
        min_distance: Angstrom; parameters that put two atoms closer are drawn again, and those that put two elements
            closer than known crystals have them (``crystals/plausibility/close_contacts.py``); 0 leaves both checks
            out. The default is just below the shortest bond there is, that of H2 (0.74).
        redraws: how often, at most, since each is a whole pass; then the draw that is least too close stays.
    """

    source_temperature: float = 0.0
    departure: float = 0.0
    anew: float = 0.05
    guidance: float = 1.0
    within: float | None = None
    min_distance: float = 0.7
    redraws: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        infinity = float("inf")
        check_ranges(
            self,
            source_temperature=(0, 1_000),
            departure=(0, 1_000),
            anew=(0, infinity),  # infinity: always
            guidance=(-1_000, 1_000),
            within=(0, infinity),
            min_distance=(0, 10),  # Angstrom: no two atoms of a solid are farther from all others
            redraws=(0, 10_000),
        )
