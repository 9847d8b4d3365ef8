"""How a model of molecules draws."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from unigen.config import check_ranges
from unigen.models.generator import TEMPERATURES, VectorSettings

_WARMER = 0.7
"""Temperature, at least, of what is drawn again: near the mode the same mistake comes again. With 1, the model itself,
bonds and angles of large molecules are too rough."""


@dataclass(frozen=True, kw_only=True)
class MoleculeSettings(VectorSettings):
    """How SMILES and positions are drawn.

    Attributes:
        temperature: of positions; 1 draws from the model itself, lower goes towards its modes (``solvers.tempered``).
        symbol_temperature: of the SMILES; the default gives more stable molecules than 1 on validation (81 % against
            78 % by EDM's look-up, 400 samples), and no fewer different ones.
        guidance: how much stronger than the model holds it the properties asked for count, in symbols and positions
            (Ho and Salimans 2022): 1 is the model itself, 0 leaves them out.
        draws_per_atom: how many places of an atom are drawn at most: the first is taken that is not too close to
            another atom, stretches no bond or angle, and lies on the side that the SMILES says; else the least wrong.
        repairs: how often at most a molecule is taken back to where it has gone wrong, and drawn on from there. With 0
            or 3 conformers of drugs have the same energy and coverage, in 0.7 and 1.7 times the time.
        settle: whether of what is still wrong then centres and double bonds on the wrong side are turned
            (``molecules/turning.py``), and it goes through a harmonic pass (``molecules/settling.py``).
        redraws: how often at most a conformer is drawn again that has another stereo than its SMILES or is broken.
        relax: clean up with MMFF94, and tell the energy.
    """

    temperature: float = 0.4
    symbol_temperature: float = 0.8
    guidance: float = 1.0
    draws_per_atom: int = 8
    repairs: int = 1
    settle: bool = True
    redraws: int = 8
    relax: Literal["none", "mmff"] = "none"

    def warmer(self) -> MoleculeSettings:
        """For what was drawn and is wrong."""
        return replace(self, temperature=max(self.temperature, _WARMER))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, symbol_temperature=TEMPERATURES, guidance=(-1_000, 1_000))
        check_ranges(self, draws_per_atom=(1, 1_000), repairs=(0, 1_000), redraws=(0, 10_000))
