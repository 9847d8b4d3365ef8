"""Two fragments of a drug, where they stand in one of its conformers, and a linker wanted: how often is one found?

python eval/conformers/linking.py unigen-molecule --dataset drugs:test --limit 100 --out linking.json

Of each molecule two bonds are cut, drawn by the seed, that leave two fragments with a ring each and a linker of one to
eight heavy atoms between them; hydrogens close the cuts. The fragments are asked for as one SD entry, the two atoms
that were cut are named (``attach``), and nothing of the linker is told. Rows, by the heavy atoms that were cut out:
linkers that were made (all that is made is sound and has both fragments where they stood), their heavy atoms on
average, molecules that got one at least, and those whose own graph is among theirs.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rdkit import Chem
from rich.console import Console
from rich.table import Table

from unigen.data.molecule_store import open_molecules
from unigen.disk import write_text
from unigen.eval.report import provenance
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import without_stereo
from unigen.request import MoleculeRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

LONGEST, SMALLEST = 8, 5
"""Heavy atoms of a linker at most, and of a fragment at least."""


class Cut(NamedTuple):
    """Two fragments of a molecule.

    Attributes:
        sdf: both, as one SD entry.
        attach: the atoms that were cut, from 1.
        linker: heavy atoms that are gone.
        kept: heavy atoms of the fragments.
        smiles: of the whole molecule, without stereo.
    """

    sdf: str
    attach: tuple[int, int]
    linker: int
    kept: int
    smiles: str


def cut(molecule: Molecule, rng: np.random.Generator) -> Cut | None:
    """A way to take a linker out; None where there is none."""
    mol = molecule.to_rdkit()
    bonds = [bond for bond in mol.GetBonds() if _may_be_cut(bond)]
    pairs = [(one, other) for index, one in enumerate(bonds) for other in bonds[:index]]
    for index in rng.permutation(len(pairs)).tolist():
        both = pairs[index]
        pieces = Chem.GetMolFrags(Chem.FragmentOnBonds(mol, [bond.GetIdx() for bond in both], addDummies=False))
        ends = {atom for bond in both for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())}
        linkers = [piece for piece in pieces if len(ends & set(piece)) == 2]
        fragments = [piece for piece in pieces if len(ends & set(piece)) == 1]
        if len(linkers) == 1 and len(fragments) == 2 and all(_is_fragment(mol, piece) for piece in fragments):
            heavy = sum(mol.GetAtomWithIdx(atom).GetAtomicNum() > 1 for atom in linkers[0])
            if 1 <= heavy <= LONGEST:
                return _without(molecule, mol, fragments, set(linkers[0]), heavy)
    return None


def _may_be_cut(bond: Chem.Bond) -> bool:
    """Single, in no ring, between heavy atoms without charges."""
    atoms = (bond.GetBeginAtom(), bond.GetEndAtom())
    plain = all(atom.GetAtomicNum() > 1 and not atom.GetFormalCharge() for atom in atoms)
    return bond.GetBondType() == Chem.BondType.SINGLE and not bond.IsInRing() and plain


def _is_fragment(mol: Chem.Mol, piece: tuple[int, ...]) -> bool:
    atoms = [mol.GetAtomWithIdx(atom) for atom in piece]
    return any(atom.IsInRing() for atom in atoms) and sum(atom.GetAtomicNum() > 1 for atom in atoms) >= SMALLEST


def _without(molecule: Molecule, mol: Chem.Mol, fragments: list[tuple[int, ...]], linker: set[int], heavy: int) -> Cut:
    """The fragments, with a hydrogen on the way to each atom that is gone."""
    kept = sorted(atom for piece in fragments for atom in piece)
    left = Chem.RWMol(mol)
    Chem.Kekulize(left, clearAromaticFlags=True)  # rings of the linker are opened
    conformer = left.GetConformer()
    attach = []
    for atom in kept:
        for near in mol.GetAtomWithIdx(atom).GetNeighbors():
            if near.GetIdx() in linker:
                arm = molecule.positions[near.GetIdx()] - molecule.positions[atom]
                left.GetAtomWithIdx(near.GetIdx()).SetAtomicNum(1)
                conformer.SetAtomPosition(near.GetIdx(), molecule.positions[atom] + 1.09 * arm / np.linalg.norm(arm))
                attach.append(atom)
    hydrogens = {near.GetIdx() for atom in attach for near in mol.GetAtomWithIdx(atom).GetNeighbors()} & linker
    order = kept + sorted(hydrogens) + sorted(linker - hydrogens)
    ordered = Chem.RWMol(Chem.RenumberAtoms(left, order))
    for atom in reversed(range(len(kept) + len(hydrogens), len(order))):
        ordered.RemoveAtom(atom)
    for atom in list(ordered.GetAtoms()):
        if atom.GetIdx() >= len(kept):
            atom.SetFormalCharge(0)
            for other in list(atom.GetNeighbors()):
                if other.GetIdx() >= len(kept):  # a linker of one atom
                    ordered.RemoveBond(atom.GetIdx(), other.GetIdx())
    found = ordered.GetMol()
    Chem.SanitizeMol(found)
    text = Chem.MolToMolBlock(found) + "$$$$\n"
    one, two = (1 + kept.index(atom) for atom in attach)
    heavy_kept = int((molecule.numbers[kept] > 1).sum())
    return Cut(text, (one, two), heavy, heavy_kept, without_stereo(molecule.to_smiles()))


def main() -> None:
    """Cut, link, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="bundled name or model folder")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--limit", type=int, default=100, help="so many molecules that can be cut, by the seed")
    parser.add_argument("--n", type=int, default=4, help="linkers of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    dataset, rng = open_molecules(options.dataset), np.random.default_rng(options.seed)
    cuts: list[Cut] = []
    for index in rng.permutation(len(dataset)).tolist():
        if len(cuts) == options.limit:
            break
        found = cut(dataset[index], rng)
        cuts += [found] if found else []
    model = load(options.model)
    requests = [MoleculeRequest(scaffold=each.sdf, attach=each.attach) for each in cuts]
    start = time.process_time()
    samples = generate(requests, n=options.n, model=model, seed=options.seed)
    seconds = time.process_time() - start
    made = np.array([sample.structure is not None for sample in samples]).reshape(len(cuts), options.n)
    texts = [None if each.structure is None else without_stereo(each.structure.to_smiles()) for each in samples]
    own = [each.smiles in texts[options.n * index : options.n * (index + 1)] for index, each in enumerate(cuts)]
    sizes = np.array([each.linker for each in cuts])
    written = np.full(made.shape, np.nan)
    for place, sample in enumerate(samples):
        if sample.structure is not None:
            index, draw = divmod(place, options.n)
            written[index, draw] = (sample.structure.numbers > 1).sum() - cuts[index].kept
    rows: dict[str, dict[str, float | int]] = {}
    for low, high in ((1, 2), (3, 4), (5, LONGEST), (1, LONGEST)):
        chosen = (sizes >= low) & (sizes <= high)
        if chosen.any():
            rows["all" if (low, high) == (1, LONGEST) else f"{low} to {high}"] = {
                "molecules": int(chosen.sum()),
                "made": round(float(made[chosen].mean()), 4),
                "heavy_atoms": round(float(np.nanmean(written[chosen])), 2),
                "any": round(float(made[chosen].any(1).mean()), 4),
                "own": round(float(np.array(own)[chosen].mean()), 4),
            }
    reasons = Counter(sample.reason.split(";")[0] for sample in samples if sample.reason)
    content = {"dataset": options.dataset, "n": options.n, "seed": options.seed, "model": options.model, "rows": rows}
    content |= {"not_made": dict(reasons), "cpu_seconds_each": round(seconds / len(samples), 3)}
    write_text(options.out, json.dumps(content | {"provenance": provenance("")}, indent=1) + "\n")
    table = Table(
        "heavy atoms cut out", "molecules", "linkers made", "their heavy atoms", "one at least", "its own among them"
    )
    for name, row in rows.items():
        made_, any_, own_ = (f"{row[share]:.1%}" for share in ("made", "any", "own"))
        table.add_row(name, str(row["molecules"]), made_, str(row["heavy_atoms"]), any_, own_)
    Console().print(table)
    print(dict(reasons), f"{seconds / len(samples):.2f} CPU-seconds each")


if __name__ == "__main__":
    main()
