"""Whether the charges of a composition can balance: charge neutrality and the Pauling test of SMACT.

Davies et al., Chem 1, 617 (2016); as a validity check: Xie et al., CDVAE, ICLR 2022, section 5.2. Single elements and
all-metal compositions pass. The verdict depends on the list of oxidation states: CDVAE's is smact 1.4's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod

from unigen.elements import SYMBOLS, parse_formula
from unigen.version import require


@dataclass(frozen=True)
class CompositionVerdict:
    """What SMACT says about a formula.

    Attributes:
        valid_cdvae: with the oxidation states of smact 1.4, as CDVAE and its successors publish it.
        valid: with the default oxidation states of the installed smact (ICSD 2024).
        bounded: too many combinations of oxidation states to try: counted as not valid under both.
        reason: why it was not judged; counted as not valid under both.
    """

    valid_cdvae: bool
    valid: bool
    bounded: bool = False
    reason: str = ""


@lru_cache(maxsize=100_000)
def check_composition(formula: str, max_combinations: int = 200_000) -> CompositionVerdict:
    """SMACT's verdicts on a reduced formula.

    Args:
        formula: such as ``"NaCl"``; counts are divided by their common divisor.
        max_combinations: bound of work, in combinations of oxidation states (about 10 microseconds each).

    Raises:
        UserError: smact is not installed.

    Example:
        >>> check_composition("NaCl").valid_cdvae, check_composition("NaCl2").valid_cdvae
        (True, False)
    """
    require("smact", "smact", "composition validity needs")
    from smact.screening import smact_validity

    unknown = [symbol for symbol in _symbols(formula) if not _knows(symbol)]
    if unknown:
        reason = f"composition not judged: SMACT's table ends before {unknown[0]}"
        return CompositionVerdict(valid_cdvae=False, valid=False, reason=reason)
    if _combinations(formula) > max_combinations:
        return CompositionVerdict(valid_cdvae=False, valid=False, bounded=True)
    return CompositionVerdict(
        valid_cdvae=bool(smact_validity(formula, oxidation_states_set="smact14")), valid=bool(smact_validity(formula))
    )


def _symbols(formula: str) -> list[str]:
    return [SYMBOLS[number] for number in parse_formula(formula)]


@lru_cache(maxsize=len(SYMBOLS))
def _knows(symbol: str) -> bool:
    """Whether an element is in SMACT's table, which ends at lawrencium."""
    import smact

    try:
        smact.Element(symbol)
    except KeyError:
        return False
    return True


def _combinations(formula: str) -> int:
    """Combinations of oxidation states SMACT may try, in the longer of the two lists."""
    import smact

    symbols = _symbols(formula)
    # SMACT lets these pass before it tries any
    if all(symbol in smact.metals for symbol in symbols) or len(symbols) == 1:
        return 1
    elements = smact.element_dictionary(symbols).values()
    lists = [(each.oxidation_states_smact14 or (), each.oxidation_states_icsd24 or ()) for each in elements]
    return max(prod(len(states) for states in each) for each in zip(*lists, strict=True))
