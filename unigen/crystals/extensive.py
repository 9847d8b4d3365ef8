"""Which named properties are totals of a cell, and what becomes of them when the cell changes its number of atoms."""

from __future__ import annotations

EXTENSIVE = {
    # what ASE's calculators and pymatgen's entries call totals of the cell they computed, eV
    "energy": "total energy",
    "total_energy": "total energy",
    "energy_total": "total energy",
    "free_energy": "total energy with electronic entropy",
    "uncorrected_energy": "total energy without corrections",
    "uncorrected_total_energy": "total energy without corrections",
    "corrected_energy": "total energy with corrections",
    "correction": "correction of the total energy",
    "etot": "total energy",
    "toten": "total energy, by VASP's name",
    "formation_energy_total": "total formation energy",
    # moments of the cell, muB
    "magmom": "magnetic moment, by ASE's name",
    "magnetization": "magnetic moment",
    "magnetisation": "magnetic moment",
    "total_magnetization": "magnetic moment",
    "total_magnetisation": "magnetic moment",
    "total_magnetic_moment": "magnetic moment",
    # how large the cell is
    "volume": "A^3",
    "cell_volume": "A^3",
    "nsites": "atoms",
    "natoms": "atoms",
    "n_atoms": "atoms",
    "num_atoms": "atoms",
    "num_sites": "atoms",
    "nat": "atoms",
    "nelectrons": "electrons",
    "num_electrons": "electrons",
    "mass": "atomic masses",
    "formula_units_z": "formula units",
}
"""Names, in small letters, of properties that grow with the cell. ``energy_per_atom`` and every name that is not here
is taken to belong to the material, whatever its cell."""


def is_extensive(name: str) -> bool:
    """Whether a property of this name is a total of its cell."""
    return name.strip().lower().replace(" ", "_").replace("-", "_") in EXTENSIVE


def scaled_properties(properties: dict[str, float], ratio: float) -> dict[str, float]:
    """The properties of the same crystal in a cell of ``ratio`` times the atoms.

    Example:
        >>> scaled_properties({"energy": -27.0, "band_gap": 5.0}, 0.25)
        {'energy': -6.75, 'band_gap': 5.0}
    """
    return {name: value * ratio if is_extensive(name) else value for name, value in properties.items()}
