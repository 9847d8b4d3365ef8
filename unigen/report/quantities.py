"""The quantities that stand in the columns of a page: unit, meaning, and what they are by."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from unigen.cards import Kind

By = Literal["structure", "model", "potential", "ranking", "request", "protocol", "file"]
"""What a value comes from: the structure alone, the generator, a potential, what chose among candidates, what was asked
for, the protocol that judged, or the file."""


@dataclass(frozen=True)
class Quantity:
    """What a column says.

    Attributes:
        unit: of its values; of what has none, what kind of value it is.
        about: what it is.
        by: what it comes from.
    """

    unit: str
    about: str
    by: By = "structure"


MADE_BY: dict[By, str] = {
    "structure": "from the structure alone",
    "model": "the model",
    "potential": "the potential",
    "ranking": "what ranked",
    "request": "the request",
    "protocol": "the protocol",
    "file": "as the file says",
}
"""In words, where a page does not know better."""

NO_UNITS = ("text", "number", "yes or no", "count", "name", "share", "ratio")
"""Written in place of a unit where there is none."""

_ANY: dict[str, Quantity] = {
    # the structure
    "index": Quantity("count", "which sample of its request, or of its reference, it is; from 0", "file"),
    "reference": Quantity("name", "id of its reference", "file"),
    "atoms": Quantity("count", "atoms in the cell, or in the molecule with its hydrogens"),
    "n_atoms": Quantity("count", "atoms in the cell, or in the molecule with its hydrogens"),
    "smallest_distance": Quantity("Å", "between two atoms; in a crystal also of an atom and its own image"),
    "reason": Quantity("text", "what is to be said of it: why it is not scored, what could not be checked", "file"),
    "bounded": Quantity(
        "yes or no", "something about it ended at a bound of work, and counts as not found", "protocol"
    ),
    "unique": Quantity("yes or no", "no sample before it is the same", "protocol"),
    "novel": Quantity("yes or no", "nothing in the reference is the same", "protocol"),
    # of a generator
    "log_likelihood": Quantity("nats", "of the sample; larger is likelier within one composition", "model"),
    "score": Quantity("number", "what the model holds of it: larger is better, within one model and request", "model"),
    "relative id": Quantity("name", "of the known structure that it starts from", "model"),
    "relative formula": Quantity("name", "of that structure", "model"),
    "relative distance": Quantity("number", "chemical distance to that structure; 0 is the same composition", "model"),
    "relative probability": Quantity("share", "that the crystal follows this structure", "model"),
    "relative log_probability": Quantity("nats", "its logarithm", "model"),
    "relative cell_change": Quantity("number", "largest change of the logarithm of an edge beside it", "model"),
    "relative site_shift": Quantity("number", "largest change of a free coordinate beside it", "model"),
    "relative copies": Quantity("count", "repetitions of its cell that were followed", "model"),
    "relative parent": Quantity("name", "the file that it was read from", "model"),
    "redraws": Quantity("count", "how often the molecule was drawn again", "model"),
    "settled": Quantity("yes or no", "a harmonic pass has moved its atoms, since it was still wrong", "model"),
    "repairs": Quantity("count", "how often it was taken back to where it had gone wrong", "model"),
    "examples": Quantity("count", "known molecules with nearby values that the model was shown", "model"),
    "imines_turned": Quantity("count", "hydrogens of C=N-H that were put on the side that was asked for", "model"),
    # of energies
    "energy": Quantity("eV", "total, relaxed", "potential"),
    "energy_per_atom": Quantity("eV/atom", "total energy over the number of atoms", "potential"),
    "energy_per_atom_unrelaxed": Quantity("eV/atom", "the same at the best volume, before relaxation", "potential"),
    "energy_per_atom_as_drawn": Quantity("eV/atom", "the same of the structure as it was drawn", "potential"),
    "enthalpy_per_atom": Quantity("eV/atom", "energy and pressure times volume, over the number of atoms", "potential"),
    "volume_per_atom": Quantity("Å³", "of the cell over the number of atoms", "potential"),
    "energy_above_lowest": Quantity("eV/atom", "above the lowest of its composition, computed alike", "potential"),
    "follows": Quantity("name", "formula of the known structure that it starts from", "model"),
    "energy_above_hull": Quantity("eV/atom", "above the convex hull of known phases; negative below it", "potential"),
    "above_hull": Quantity("eV/atom", "above the convex hull of known phases; negative below it", "potential"),
    "formation_energy": Quantity("eV/atom", "against the elements of the hull", "potential"),
    "decomposition": Quantity("text", "the phases at the hull below it, shares of atoms", "potential"),
    "energy_drop": Quantity("eV/atom", "energy before minus energy after relaxation", "potential"),
    "displacement": Quantity("Å", "root mean square path of an atom in relaxation", "potential"),
    "volume_change": Quantity("ratio", "relaxed volume over the one given, minus 1", "potential"),
    "edges_scaled_by": Quantity("ratio", "best edges over those drawn, the shape of the cell kept", "potential"),
    "steps": Quantity("count", "of the relaxation", "potential"),
    "outcome": Quantity(
        "name", "how relaxation ended: converged, or limit (out of steps: an upper bound)", "potential"
    ),
    "relaxation": Quantity("name", "how relaxation ended: converged, limit, gated or failed", "potential"),
    "relaxed": Quantity("name", "how its relaxation ended, where it was relaxed", "potential"),
    # of answers
    "rank": Quantity("count", "its place; 1 is the best", "ranking"),
    "candidate": Quantity("count", "which candidate of its request it was; from 0", "ranking"),
    "by": Quantity("name", "what ranked it", "ranking"),
    "known": Quantity(
        "name", "whether the table of the scan or the hull holds a structure of its composition", "ranking"
    ),
    "ranking_note": Quantity("text", "what is to be said of its ranking", "ranking"),
    "off_by": Quantity("standard deviations", "farthest of its properties from what was asked for", "ranking"),
}

_OF = {
    "crystals": {
        "space_group": Quantity("name", "Hermann-Mauguin symbol; by spglib, within 0.1 Å or what the settings say"),
        "space_group_number": Quantity("number", "international number of the space group; as the symbol, by spglib"),
        "template": Quantity("text", "space group that was written, and the Wyckoff letters of each element", "model"),
        "density": Quantity("g/cm³", "mass of the cell over its volume"),
        "volume": Quantity("Å³", "of the cell"),
        "primitive_atoms": Quantity("count", "atoms in the primitive cell, where the one given is not primitive"),
        "prototype": Quantity("name", "of its structure type, where it is one of those that have names here"),
        "network": Quantity("name", "what its bonds make, where it is no framework: layers, chains or molecules"),
        "valid": Quantity("yes or no", "atoms no closer than in known crystals, and a volume; no more than that"),
        "not_molecular": Quantity("text", "an organic composition whose bonds make no molecules"),
        "close_contact": Quantity("text", "two atoms that are closer than known crystals have their elements"),
        "structure_valid": Quantity("yes or no", "see the metric of this name", "protocol"),
        "structure_valid_cdvae": Quantity("yes or no", "see the metric of this name", "protocol"),
        "no_close_contact": Quantity("yes or no", "see the metric of this name", "protocol"),
        "composition_valid": Quantity("yes or no", "see the metric of this name", "protocol"),
        "composition_valid_cdvae": Quantity("yes or no", "see the metric of this name", "protocol"),
        "matched": Quantity("yes or no", "matches its reference, by pymatgen's StructureMatcher", "protocol"),
        "rms": Quantity("(V/atoms)^⅓", "root mean square displacement to its reference", "protocol"),
        "stated_space_group": Quantity("number", "the space group that the generator wrote", "file"),
        "stated_symmetry": Quantity(
            "name", "that group beside the one found at 0.01 Å: confirmed, higher, other, failed"
        ),
        "similarity": Quantity("ratio", "of calculated and measured pattern; 1 is the same", "ranking"),
        "similarity_with_atoms_moved": Quantity(
            "ratio", "the same, with atoms moved within their positions", "ranking"
        ),
        "r_wp": Quantity("ratio", "weighted profile residual of the fit; 0 is perfect", "ranking"),
        "scale": Quantity("ratio", "edges of the fit over those given", "ranking"),
        "strain": Quantity("ratio", "largest principal strain of the fitted cell", "ranking"),
    },
    "molecules": {
        "valid": Quantity("yes or no", "RDKit finds one closed-shell molecule in the positions", "protocol"),
        "smiles": Quantity("text", "canonical SMILES with the stereo of the positions"),
        "charge": Quantity("number", "net charge"),
        "edm_stable_atoms": Quantity("count", "atoms of an allowed valence, by EDM's table", "protocol"),
        "edm_stable": Quantity("yes or no", "all of its atoms are of an allowed valence, by EDM's table", "protocol"),
        "edm_valid": Quantity("yes or no", "RDKit sanitises the bonds of EDM's table", "protocol"),
        "carried_bonds": Quantity(
            "name", "whether RDKit accepts the bonds of the file: none, accepted, refused", "file"
        ),
        "own_valid": Quantity("yes or no", "the bonds of the file are of one closed-shell molecule", "file"),
        "own_smiles": Quantity("text", "canonical SMILES of the bonds of the file", "file"),
        "own_agrees": Quantity("yes or no", "these bonds are those found in the positions, but for stereo", "protocol"),
        "posebusters": Quantity("yes or no", "passes every check of PoseBusters", "protocol"),
        "failed_checks": Quantity("text", "those of PoseBusters that it does not pass", "protocol"),
        "strain_rmsd": Quantity("Å", "of its heavy atoms from the relaxed ones", "potential"),
        "strain_bonds_kept": Quantity("yes or no", "its bonds are those of the relaxed molecule", "potential"),
        "strain_ending": Quantity("name", "how its relaxation ended", "potential"),
        "bonds_kept": Quantity("yes or no", "its bonds are those of the relaxed molecule", "potential"),
        "covered": Quantity("yes or no", "nearer to a conformer of the reference than the threshold", "protocol"),
        "rms": Quantity("Å", "deviation of its heavy atoms from the nearest conformer of the reference", "protocol"),
        "molecule": Quantity("text", "canonical SMILES of the molecule it is held against", "protocol"),
        "property": Quantity("name", "what was asked for", "request"),
        "unit": Quantity("name", "of what was asked for and predicted", "request"),
        "requested": Quantity("number", "the value asked for, in the unit beside it", "request"),
        "predicted": Quantity("number", "the value that the predictor finds, in the unit beside it", "protocol"),
        "strain": Quantity("kcal/mol", "energy given off when GFN2-xTB relaxes it", "potential"),
        "total_energy": Quantity("kcal/mol", "total, relaxed; compares among conformers of one molecule", "potential"),
        "relative_energy": Quantity("kcal/mol", "above the lowest conformer of its molecule", "potential"),
        "boltzmann_weight": Quantity(
            "share", "of its molecule's conformers that are kept, by energy alone", "potential"
        ),
        "left_out": Quantity("name", "why its ensemble does not hold it", "ranking"),
    },
}
"""Beside them, of each kind."""

_PREDICTED = re.compile(r"(.+)_(predicted|asked|off_by|error)(?: \((.+)\))?")
"""As a ranker of properties names its columns."""


def quantity_of(column: str, kind: Kind) -> Quantity:
    """What a column of this name says of crystals or molecules; of one nobody knows, that it is the file's.

    Example:
        >>> quantity_of("enthalpy_per_atom at 20 GPa", "crystals").about
        'energy and pressure times volume, over the number of atoms; at 20 GPa'
        >>> quantity_of("gap_predicted (eV)", "molecules").unit
        'eV'
    """
    known = _ANY | _OF[kind]
    if column in known:
        return known[column]
    base, at, pressure = column.partition(" at ")
    if at and base in known:
        return replace(known[base], about=f"{known[base].about}; at {pressure}")
    if match := _PREDICTED.fullmatch(column):
        said = {
            "predicted": "as the model predicts it",
            "asked": "as it was asked for",
            "off_by": "how far it is off",
            "error": "nine errors of ten of the prediction are smaller",
        }
        return Quantity(match[3] or "number", f"{match[1]}, {said[match[2]]}", "ranking")
    if column.endswith(" asked"):
        return Quantity("number", f"{column.removesuffix(' asked')} as it was asked for", "request")
    return Quantity("number", "as its file says", "file")


def unit_of(column: str, kind: Kind) -> str:
    """The unit to be written beside a column's name; empty where it has none or says it itself."""
    unit = quantity_of(column, kind).unit
    return "" if unit in NO_UNITS or column.endswith(f"({unit})") else unit
