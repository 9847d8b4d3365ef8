"""Calculators that misbehave as real ones do, for import by path."""

import warnings

import numpy as np
from ase.calculators.calculator import Calculator, all_changes


class _Flat(Calculator):
    implemented_properties = ("energy", "forces", "stress")

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results = {"energy": 0.0, "forces": np.zeros((len(atoms), 3)), "stress": np.zeros(6)}


class NotANumber(_Flat):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        self.results["energy"] = np.nan


class Raising(_Flat):
    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        raise RuntimeError("the network has no such element")


class Exploding(_Flat):
    """Pulls the cell apart at any size."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        volume = atoms.get_volume()
        self.results["energy"] = -volume
        self.results["stress"] = np.array([-1.0, -1, -1, 0, 0, 0])


def no_calculator():
    return 7


def needs_weights(path):
    return path


class Blind(_Flat):
    """Does not say how far it sees."""


class ShortSighted(_Flat):
    """Sees no atom beyond 4 Angstrom, and says so."""

    cutoff = 4.0


class Outspoken(ShortSighted):
    """Warns of what it is given."""

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        warnings.warn("extrapolates", UserWarning, stacklevel=1)
