"""How a model of words draws."""

from __future__ import annotations

from dataclasses import dataclass

from unigen.models.generator import VectorSettings


@dataclass(frozen=True, kw_only=True)
class WordsSettings(VectorSettings):
    """Vectors, and the composition by the same temperature; nothing else can be told to a model of words."""
