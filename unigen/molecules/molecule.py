"""One molecule: the domain object that comes from files and SMILES and leaves to RDKit, ASE and files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.display import ShownInNotebooks
from unigen.elements import SYMBOLS, hill_formula
from unigen.errors import UserError
from unigen.molecules import files, graph, limits, rdkit_graph
from unigen.molecules.bonds import perceive_bonds
from unigen.molecules.conformer import embedded_mol
from unigen.molecules.rdkit_smiles import smiles_label
from unigen.parsing import read_text
from unigen.shapes import Float, Int, Integer

if TYPE_CHECKING:
    from ase import Atoms
    from rdkit.Chem import Mol


@dataclass(frozen=True, eq=False, repr=False)
class Molecule(ShownInNotebooks):
    """A molecule in space, every hydrogen an atom of its own.

    Unpaired electrons are not kept: where all hydrogens are atoms they follow from bonds and formal charges (RDKit's
    rule), and the RDKit molecule has them. So it is with stereo: it is what the positions say.

    Attributes:
        numbers: atomic numbers, shape (atoms,).
        positions: Cartesian coordinates in Angstrom, shape (atoms, 3).
        bonds: rows (i, j, order) with i < j, sorted, shape (bonds, 3); order 1, 2 or 3 (of aromatic rings one Kekule
            form). No rows where nobody knows them.
        charges: formal charges, shape (atoms,); zeros where not given.
        properties: named scalars (units are on the card of the dataset they come from).
        smiles: SMILES as the source gives it, empty where it gives none; it need not list atoms in our order.

    Raises:
        UserError: shapes that disagree, NaN, an unknown element, a bond that is none, two bonds of one pair.
    """

    numbers: Integer[np.ndarray, "atoms"]
    positions: Float[np.ndarray, "atoms 3"]
    bonds: Integer[np.ndarray, "bonds 3"] = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    charges: Integer[np.ndarray, "atoms"] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    properties: dict[str, float] = field(default_factory=dict)
    smiles: str = ""

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers, dtype=np.int64)
        positions = np.array(self.positions, dtype=np.float64)
        bonds = np.array(self.bonds, dtype=np.int64)
        charges = np.array(self.charges, dtype=np.int64) if len(self.charges) else np.zeros_like(numbers)
        shapes = {"numbers": numbers, "positions": positions, "bonds": bonds, "charges": charges}
        wanted = [(numbers.size,), (numbers.size, 3), (len(bonds), 3), (numbers.size,)]
        if not numbers.size or [array.shape for array in shapes.values()] != wanted:
            got = ", ".join(f"{name} {array.shape}" for name, array in shapes.items())
            raise UserError("array shapes disagree", got=got, wanted="(atoms,), (atoms, 3), (bonds, 3), (atoms,)")
        if not np.isfinite(positions).all():
            atom = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
            raise UserError(f"atom {atom}: coordinates are not finite", got=positions[atom].tolist())
        unknown = np.flatnonzero((numbers < 1) | (numbers >= len(SYMBOLS)))
        if len(unknown):
            raise UserError(f"atom {unknown[0]}: unknown element", got=int(numbers[unknown[0]]))
        shapes["bonds"] = graph.sorted_bonds(bonds, len(numbers))
        for name, array in shapes.items():
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.numbers)

    def __repr__(self) -> str:
        bonds = f", {len(self.bonds)} bonds" if len(self.bonds) else ", bonds unknown"
        return f"Molecule({self.formula}{bonds}{f', {self.smiles}' if self.smiles else ''})"

    @property
    def counts(self) -> dict[int, int]:
        """Number of atoms by atomic number, ascending."""
        return dict(sorted(Counter(self.numbers.tolist()).items()))

    @property
    def formula(self) -> str:
        """Composition in Hill's order, ``C2H6O``; charges are not in it."""
        return hill_formula(self.counts)

    @property
    def total_charge(self) -> int:
        """Sum of the formal charges."""
        return int(self.charges.sum())

    @property
    def fragments(self) -> Int[np.ndarray, "atoms"]:
        """Which connected piece each atom belongs to, numbered from 0 by their first atoms."""
        return graph.fragments(self.bonds, len(self))

    def closest_pair(self) -> tuple[int, int, float]:
        """The two closest atoms and their distance in Angstrom, infinite where there is one atom only."""
        distances = np.linalg.norm(self.positions[:, None] - self.positions, axis=2)
        np.fill_diagonal(distances, np.inf)
        first, second = np.unravel_index(int(distances.argmin()), distances.shape)
        return int(first), int(second), float(distances[first, second])

    def checked(
        self,
        where: str = "",
        *,
        elements: Collection[int] | None = None,
        max_atoms: int | None = None,
        connected: bool = False,
    ) -> Molecule:
        """This molecule, when it may be used.

        Args:
            where: file and entry, for messages.
            elements: atomic numbers that may occur; None for all.
            max_atoms: most atoms, hydrogens counted.
            connected: whether it must be in one piece.

        Raises:
            UserError: two atoms closer than 0.1 Angstrom, another element, too many atoms, several fragments.
        """
        limits.check_size(len(self), max_atoms, where)
        limits.check_elements(self.counts, elements, where)
        first, second, distance = self.closest_pair()
        limits.check_distance(self.numbers, (first, second), distance, where)
        if connected:
            limits.check_fragments(int(self.fragments.max()) + 1, where)
        return self

    def selected(self, atoms: Int[np.ndarray, "chosen"]) -> Molecule:
        """The atoms of these indices, none twice, in this order, with the bonds among them: also a way to reorder."""
        return replace(
            self,
            numbers=self.numbers[atoms],
            positions=self.positions[atoms],
            bonds=graph.bonds_among(self.bonds, atoms, len(self)),
            charges=self.charges[atoms],
        )

    def largest_fragment(self) -> Molecule:
        """The connected piece with the most heavy atoms, then atoms; of equal ones the first."""
        return self.selected(self.largest_fragment_atoms())

    def largest_fragment_atoms(self) -> Int[np.ndarray, "chosen"]:
        """Its atoms, ascending."""
        labels = self.fragments
        sizes, hydrogens = np.bincount(labels), np.bincount(labels[self.numbers == 1], minlength=labels.max() + 1)
        # One number to rank by: heavy atoms count more than all atoms together can.
        rank = (sizes - hydrogens) * (len(self) + 1) + sizes
        return np.flatnonzero(labels == rank.argmax())

    def heavy_first(self) -> Molecule:
        """Heavy atoms in their order, then hydrogens in the order of their parents; needs bonds to know these."""
        return self.selected(graph.heavy_first(self.numbers, self.bonds))

    def canonical(self) -> Molecule:
        """The same molecule, heavy atoms in the order of its canonical SMILES, then hydrogens by parent.

        ``smiles`` is then that text, with the stereo that the positions say. Raises as `to_rdkit`.
        """
        smiles, order = rdkit_graph.canonical_order(self.to_rdkit())
        return replace(self.selected(order).heavy_first(), smiles=smiles)

    def with_bonds(self, charge: int = 0, where: str = "") -> Molecule:
        """The same atoms with the bonds and formal charges that distances and a total charge say.

        Args:
            charge: what the formal charges sum to.
            where: file and entry, for messages.

        Raises:
            UserError: no assignment fits, or none was found in a bounded search.
        """
        bonds, charges = perceive_bonds(self.numbers, self.positions, charge, where)
        return replace(self, bonds=bonds, charges=charges).checked(where)

    def _fields(self) -> graph.MoleculeFields:
        return graph.MoleculeFields(
            self.numbers, self.positions, self.bonds, self.charges, self.properties, self.smiles
        )

    @classmethod
    def from_arrays(
        cls,
        numbers: np.ndarray,
        positions: np.ndarray,
        bonds: np.ndarray | None = None,
        charges: np.ndarray | None = None,
        properties: dict[str, float] | None = None,
        smiles: str = "",
        where: str = "",
    ) -> Molecule:
        """A checked molecule of arrays as files hold them, of any width of number.

        Args:
            numbers: atomic numbers, shape (atoms,).
            positions: Cartesian coordinates in Angstrom, shape (atoms, 3).
            bonds: rows (i, j, order), shape (bonds, 3); None where nobody knows them.
            charges: formal charges, shape (atoms,); None for zeros.
            properties: named scalars.
            smiles: as the source gives it.
            where: file and entry, for messages.

        Raises:
            UserError: as `Molecule` and `checked` do, naming ``where``.
        """
        optional = {"bonds": bonds, "charges": charges, "properties": properties}
        fields: dict[str, Any] = {name: value for name, value in optional.items() if value is not None}
        try:
            return cls(numbers.astype(np.int64), positions.astype(np.float64), smiles=smiles, **fields).checked()
        except UserError as error:
            raise UserError(str(error), where=where) from error

    @classmethod
    def from_rdkit(cls, mol: Mol, where: str = "") -> Molecule:
        """From a sanitised RDKit molecule with explicit hydrogens and a conformer, its atoms in its order.

        Isotopes and atom maps are dropped; numbers among its properties are kept.

        Args:
            mol: as it is.
            where: file and entry, for messages.

        Raises:
            UserError: no conformer or one in two dimensions, hydrogens that are no atoms, bonds that are neither
                single, double, triple nor aromatic, atoms closer than 0.1 Angstrom.
        """
        return cls.from_arrays(*rdkit_graph.fields_of_mol(mol, where), where)

    def to_rdkit(self) -> Mol:
        """As a sanitised RDKit molecule in this order, aromaticity by RDKit, stereo from the positions.

        Raises:
            UserError: the bonds are not known, or RDKit does not accept the valences.
        """
        return rdkit_graph.mol_of_fields(self._fields())

    def to_smiles(self) -> str:
        """Canonical isomeric SMILES by RDKit, hydrogens implied, stereo from the positions; raises as `to_rdkit`."""
        return rdkit_graph.smiles_of_mol(self.to_rdkit())

    @classmethod
    def from_smiles(
        cls,
        smiles: str,
        seed: int = 0,
        largest_fragment: bool = False,
        *,
        elements: Collection[int] | None = None,
        max_atoms: int | None = None,
        where: str = "",
    ) -> Molecule:
        """A SMILES with hydrogens added and one conformer by RDKit's ETKDGv3: an estimate, not a computed geometry.

        Args:
            smiles: the text; atoms keep its order, hydrogens follow.
            seed: of the conformer; stereo that the text leaves open is drawn too.
            largest_fragment: take the largest piece (of a salt, say).
            elements: atomic numbers that may occur; None for all.
            max_atoms: most atoms, hydrogens counted.
            where: file and entry, for messages.

        Raises:
            UserError: the text does not parse (with RDKit's reason), several fragments, another element, too many
                atoms, no conformer in a bounded number of tries.
        """
        mol = embedded_mol(smiles, seed, largest_fragment, elements=elements, max_atoms=max_atoms, where=where)
        return replace(cls.from_rdkit(mol, smiles_label(smiles, where)), smiles=smiles.strip())

    @classmethod
    def from_sdf(cls, path_or_text: str | Path, where: str = "") -> Molecule:
        """From the first entry of an SD file or MOL block, V2000 or V3000; raises as `from_rdkit`."""
        text, name = read_text(path_or_text)
        return cls.from_rdkit(files.parse_sdf(text, where or name), where or name)

    def to_sdf(self, path: str | Path | None = None, name: str = "") -> str:
        """One SD entry with properties as fields, written to ``path`` too when given; several: their concatenation.

        V2000 (positions rounded to 0.0001 Angstrom), V3000 where V2000 has no room (1,000 atoms, say). Raises as
        `to_rdkit`.

        Args:
            path: file to write.
            name: title of the entry.
        """
        fields = {field: repr(value) for field, value in self.properties.items()}
        if self.smiles:
            fields["smiles"] = self.smiles
        return _written(files.write_sdf(self.to_rdkit(), name, fields), path)

    @classmethod
    def from_xyz(
        cls, path_or_text: str | Path, charge: int | None = None, where: str = "", *, bonds: bool = True
    ) -> Molecule:
        """From the first frame of an XYZ file or text, plain or extended.

        Args:
            path_or_text: the file or the text.
            charge: total charge, needed to find bonds; None for what an extended frame says, else 0.
            where: file and entry, for messages.
            bonds: False to leave the bonds unknown.

        Raises:
            UserError: not readable, a periodic frame, atoms closer than 0.1 Angstrom, or as `with_bonds`.
        """
        text, name = read_text(path_or_text)
        return cls.from_ase(files.parse_xyz(text, where or name), charge, where or name, bonds=bonds)

    def to_xyz(self, path: str | Path | None = None) -> str:
        """One plain XYZ frame (elements and positions only), written to ``path`` too when given."""
        return _written(files.write_xyz(self.to_ase()), path)

    @classmethod
    def from_extxyz(cls, path_or_text: str | Path, charge: int | None = None, *, bonds: bool = True) -> Molecule:
        """As `from_xyz`, which reads both forms."""
        return cls.from_xyz(path_or_text, charge, bonds=bonds)

    def to_extxyz(self) -> str:
        """One extended XYZ frame with properties and formal charges; bonds have no place in it.

        Nor has the SMILES, whose backslashes ASE would lose.
        """
        return files.write_xyz(replace(self, smiles="").to_ase(), extended=True)

    @classmethod
    def from_ase(cls, atoms: Atoms, charge: int | None = None, where: str = "", *, bonds: bool = True) -> Molecule:
        """From ASE Atoms that are not periodic; numbers in ``atoms.info`` become properties. Raises as `from_xyz`."""
        fields, charge = files.fields_of_atoms(atoms, charge, where)
        molecule = cls.from_arrays(*fields, where)
        return molecule.with_bonds(charge, where) if bonds else molecule

    def to_ase(self) -> Atoms:
        """As ASE Atoms, formal charges as initial charges, properties and SMILES in ``info``."""
        return files.atoms_of_fields(self._fields())


def _written(text: str, path: str | Path | None) -> str:
    """The same text, also in a file where there is a path."""
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text
