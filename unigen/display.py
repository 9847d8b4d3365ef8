"""How our objects show themselves in a notebook.

A structure is an object of the lowest rooms, its picture is made in one of the highest (`unigen.report.notebook`): that
is found by its name, and only where a notebook asks for it, as `unigen` itself finds its public names.
"""

from __future__ import annotations

from importlib import import_module


class ShownInNotebooks:
    """An object that a notebook shows as a picture to turn."""

    def _repr_html_(self) -> str:
        return import_module("unigen.report.notebook").html_of(self)
