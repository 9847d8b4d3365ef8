"""What we read beside what gemmi, ASE and RDKit read of the same file, wherever all of them accept it.

What may differ, and why, is said at each comparison; anything else is a finding.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gemmi
import numpy as np
from rdkit import Chem, rdBase

from tests.fuzz.guard import Difference
from unigen.crystals.crystal import Crystal
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.molecules import MOLECULE_FORMATS, read_molecule_rows
from unigen.data.readers.record import Row
from unigen.molecules.molecule import Molecule
from unigen.parsing import PARSER_ERRORS, decode

TOLERANCE = 1e-3
"""Angstrom; files have four digits and more. Special positions written as 0.3333 are moved onto their place by less
than 0.01 in a cell of 30 Angstrom, so sites of CIF are compared at ten times this."""

LARGEST = 200
"""Sites; comparing every pair of a cell of thousands costs what it does not teach."""


GEMMI_MERGES = 0.4
"""Angstrom."""


def compare_cif(path: Path) -> None:
    """Elements, cell and sites beside gemmi's."""
    rows = list(read_crystal_rows(path))
    if len(rows) != 1 or rows[0].structure is None:
        return
    crystal = rows[0].structure
    try:
        small = gemmi.make_small_structure_from_block(gemmi.cif.read_string(decode(path.read_bytes()))[0])
    except (*PARSER_ERRORS, RuntimeError):
        return
    sites = small.get_all_unit_cell_sites()
    whole = all(abs(site.occ - 1) < 1e-3 and site.element.atomic_number > 0 for site in small.sites)
    if not sites or not whole or len(sites) > LARGEST or not small.cell.is_crystal():
        return  # nothing that gemmi would call a structure of whole atoms
    if crystal.smallest_distance() < GEMMI_MERGES:
        return  # gemmi takes images of a site so close for one atom; we do where the digits of the file allow it
    theirs = np.array([site.element.atomic_number for site in sites])
    coords = np.array([site.fract.tolist() for site in sites])
    _compare_crystals(crystal, theirs, coords, np.array(small.cell.orth.mat.tolist()).T, 10 * TOLERANCE, "gemmi")


def compare_poscar(path: Path) -> None:
    """Elements, cell and places beside ASE's, and how the scale in the second line is understood."""
    import ase.io

    rows = list(read_crystal_rows(path))
    if len(rows) != 1 or rows[0].structure is None:
        return
    text = decode(path.read_bytes())
    if _names_are_behind_places(text):
        return  # ASE takes the words of the title for the names, in whatever order they are
    if _scale(text) <= 0:
        return  # ASE scales Cartesian places by the negative volume itself (VASP by the factor that follows from it)
    try:
        atoms = ase.io.read(io.StringIO(text), format="vasp")
        coords = atoms.positions @ np.linalg.inv(atoms.cell.array)
    except PARSER_ERRORS:
        return
    _compare_crystals(rows[0].structure, atoms.numbers, coords, atoms.cell.array, TOLERANCE, "ASE")


def _names_are_behind_places(text: str) -> bool:
    """VASP 4's form: counts where VASP 5 has names, and a word behind each place."""
    lines = text.split("\n")
    return len(lines) > 7 and lines[5].replace(" ", "").isdecimal() and len(lines[7].split()) > 3


def _scale(text: str) -> float:
    lines = text.split("\n")
    try:
        return float(lines[1].split()[0])
    except (IndexError, ValueError):
        return 0.0


def compare_extxyz(path: Path) -> None:
    """As many frames as ASE sees, each with the same elements, cell and places."""
    import ase.io

    rows = list(read_crystal_rows(path))
    if not rows or any(row.structure is None for row in rows):
        return
    try:
        frames = ase.io.read(io.StringIO(_without_blank_lines(path)), index=":", format="extxyz")
    except PARSER_ERRORS:
        return
    if len(frames) != len(rows):
        raise Difference(f"{len(rows)} frames, ASE has {len(frames)}")
    for row, atoms in zip(rows, frames, strict=True):
        coords = atoms.positions @ np.linalg.inv(atoms.cell.array)
        assert row.structure is not None
        _compare_crystals(row.structure, atoms.numbers, coords, atoms.cell.array, TOLERANCE, "ASE")


def _without_blank_lines(path: Path) -> str:
    """The text without blank lines between frames: ASE finds no frame behind one. A comment may be blank."""
    lines = decode(path.read_bytes()).split("\n")
    kept = [
        line for before, line in zip(["", *lines], lines, strict=False) if line.strip() or before.strip().isdecimal()
    ]
    return "\n".join(kept)


def _compare_crystals(
    crystal: Crystal, numbers: np.ndarray, coords: np.ndarray, lattice: np.ndarray, tolerance: float, whose: str
) -> None:
    """The same atoms in the same cell, in any order and in any orientation."""
    ours, theirs = Counter(crystal.numbers.tolist()), Counter(numbers.tolist())
    if ours != theirs:
        raise Difference(f"atoms {dict(ours)}, {whose} has {dict(theirs)}")
    size = np.abs(lattice).max()
    if not np.allclose(crystal.lattice @ crystal.lattice.T, lattice @ lattice.T, atol=tolerance * size, rtol=1e-4):
        raise Difference(f"cell {crystal.lattice.tolist()}, {whose} has {lattice.tolist()}")
    if len(numbers) > LARGEST:
        return
    steps = crystal.frac_coords[:, None] - coords[None]
    apart = np.linalg.norm((steps - np.rint(steps)) @ crystal.lattice, axis=2)
    apart[crystal.numbers[:, None] != numbers[None]] = np.inf
    if apart.min(axis=1).max() > tolerance * max(1.0, size / 10):
        raise Difference(f"site {int(apart.min(axis=1).argmax())} is {apart.min(axis=1).max():.3g} A from {whose}'s")


def _molecules_read(path: Path, form: str) -> Iterator[tuple[str, Row[Molecule]]]:
    """Text and row of the entries of one form that are read."""
    for record, row in zip(MOLECULE_FORMATS.records(path), read_molecule_rows(path), strict=True):
        if row.structure is not None and record.form == form:
            yield str(record.content), row


def compare_sdf(path: Path) -> None:
    """Each entry's elements and places beside RDKit's, of the same entry alone."""
    for text, row in _molecules_read(path, "sdf"):
        with rdBase.BlockLogs():
            mol = Chem.MolFromMolBlock(text, sanitize=False, removeHs=False)
        if mol is None or not mol.GetNumConformers():
            raise Difference(f"{row.where} is read, RDKit refuses it")
        numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
        if row.structure.numbers.tolist() != numbers:
            raise Difference(f"{row.where}: atoms {row.structure.numbers.tolist()}, RDKit has {numbers}")
        if np.abs(row.structure.positions - mol.GetConformer().GetPositions()).max() > TOLERANCE:
            raise Difference(f"{row.where}: other places than RDKit's")


def compare_smiles(path: Path) -> None:
    """The same molecule as RDKit's, its elements, charges and hydrogens (stereo is drawn where the text leaves it)."""
    for text, row in _molecules_read(path, "smiles"):
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(text)
        if mol is None:
            raise Difference(f"{row.where} is read, RDKit refuses it")
        whole = Chem.AddHs(mol)
        ours = Counter(row.structure.numbers.tolist()), int(row.structure.charges.sum())
        theirs = Counter(atom.GetAtomicNum() for atom in whole.GetAtoms()), Chem.GetFormalCharge(mol)
        if ours != theirs:
            raise Difference(f"{row.where}: {ours}, RDKit has {theirs}")
