"""The protocols of crystals: every setting that moves a number. Their cards are in ``eval/protocols/``."""

from __future__ import annotations

from dataclasses import dataclass, field

from unigen.crystals.matching import MatchSettings
from unigen.errors import UserError
from unigen.eval.protocol import Rules


@dataclass(frozen=True, kw_only=True)
class CrystalRules(Rules):
    """How a set of crystals is scored.

    "csp" (structure prediction, against one reference crystal each) or "denovo-cdvae" (in short "denovo").

    Attributes:
        matching: what counts as the same crystal, for match rate, uniqueness and novelty alike.
        min_distance: smallest distance of a structurally valid crystal, Angstrom.
        min_volume: smallest cell volume of a structurally valid crystal, cubic Angstrom.
        symprec: tolerance of the space group in the per-structure table, Angstrom.
        max_oxidation_combinations: combinations of oxidation states tried for one formula, at most.
        max_candidates: partners of one formula tried for one crystal, at most, nearest first (uniqueness, novelty).
        max_metre_candidates: samples made for other references that are tried for one reference in METRe, at most.
        coverage_structure: cut-off of the structure fingerprint for COV (MP-20's in CDVAE).
        coverage_composition: cut-off of the composition fingerprint for COV (MP-20's in CDVAE).
    """

    matching: MatchSettings = field(default_factory=MatchSettings)
    # CDVAE's limits of a valid structure
    min_distance: float = 0.5
    min_volume: float = 0.1
    symprec: float = 0.1
    # bounds of work, never of the clock: a number must not depend on the machine; 200,000 combinations take two seconds
    max_oxidation_combinations: int = 200_000
    max_candidates: int = 200
    max_metre_candidates: int = 20
    # as CDVAE published them for MP-20
    coverage_structure: float = 0.4
    coverage_composition: float = 10.0


CSP = CrystalRules(name="csp", version="1.2")
DENOVO = CrystalRules(name="denovo-cdvae", version="1.2")


def find_protocol(protocol: str | CrystalRules) -> CrystalRules:
    """The rules of a protocol by its name; raises UserError for a name that is none."""
    if isinstance(protocol, CrystalRules):
        return protocol
    for rules in (CSP, DENOVO):
        if protocol in (rules.name, rules.name.partition("-")[0]):
            return rules
    raise UserError(f"no protocol {protocol!r}", wanted="csp or denovo")
