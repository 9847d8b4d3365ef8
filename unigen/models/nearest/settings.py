"""How the nearest known structures are copied."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NearestSettings:
    """None: what is copied is not drawn."""
