"""A joint model as a generator: of crystals by its words, of molecules by its SMILES."""

from __future__ import annotations

from dataclasses import replace

from unigen.models.generator import Generator, Opened
from unigen.models.smiles.generator import smiles_generator
from unigen.models.words.generator import words_generator


def joint_generator(opened: Opened) -> Generator:
    """A generator of what is wanted of it."""
    if opened.makes == "molecules":
        return smiles_generator(replace(opened, network=opened.network.molecule))
    return words_generator(replace(opened, network=opened.network.crystal))
