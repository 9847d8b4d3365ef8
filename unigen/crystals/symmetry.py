"""The template that a finished structure has, whatever it was written as."""

from __future__ import annotations

from unigen.crystals.crystal import Crystal
from unigen.crystals.symmetric import SymmetricCrystal
from unigen.crystals.template import Template

SYMPREC = 0.01
"""Angstrom: the tolerance at which stated space groups hold."""


def found_template(crystal: Crystal) -> str | None:
    """Space group and orbits of a structure at SYMPREC, as text; None where they do not describe it.

    A structure may have more symmetry than the template it was drawn with, when its numbers take special values.
    """
    found = SymmetricCrystal.from_crystal(crystal, symprecs=(SYMPREC,), faithful=SYMPREC)
    if found.symprec == 0:
        return None
    return str(Template(found.space_group, tuple(found.numbers.tolist()), tuple(found.letters.tolist())))
