"""The molecules of one evaluation with what is known about each: shares over all generated, and a row a sample."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np

from unigen.eval.molecules.protocol import EDM
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.eval.molecules.verdict import MoleculeVerdict
from unigen.eval.report import ResultRow
from unigen.eval.statistics import Metric
from unigen.shapes import Bool, Float


@dataclass(frozen=True, kw_only=True)
class MoleculeResult(ResultRow):
    """The row of a molecule in the per-structure table; None where it does not apply or could not be computed.

    Attributes:
        index: which sample of its request it is.
        formula: composition in Hill's order.
        n_atoms: hydrogens counted.
        edm_stable_atoms: atoms of an allowed valence, by EDM's table.
        edm_stable: all are.
        edm_valid: EDM's validity.
        valid: RDKit finds one closed-shell molecule in the positions.
        smiles: its canonical SMILES with the stereo of the positions.
        charge: its net charge.
        carried_bonds: "none", "accepted" or "refused" by RDKit.
        own_valid: the carried bonds are of one closed-shell molecule.
        own_smiles: canonical SMILES of the carried bonds.
        own_agrees: they are the perceived ones, but for stereo.
        unique: valid, and the first of its canonical SMILES without stereo.
        novel: valid, and not in the reference.
        posebusters: passes every check.
        failed_checks: of PoseBusters.
        strain: energy given off when GFN2-xTB relaxes it, kcal/mol.
        strain_rmsd: deviation of its heavy atoms from the relaxed ones, Angstrom.
        strain_bonds_kept: its bonds are those of the relaxed molecule.
        strain_ending: how the relaxation ended, "converged" or the name of a failure.
        bounded: perception ended at its bound without a graph.
        reason: why there is no molecule, why its bonds are refused, or why RDKit finds no molecule in the positions.
    """

    index: int | None = None
    formula: str | None = None
    n_atoms: int | None = None
    edm_stable_atoms: int | None = None
    edm_stable: bool = False
    edm_valid: bool = False
    valid: bool = False
    smiles: str | None = None
    charge: int | None = None
    carried_bonds: str | None = None
    own_valid: bool | None = None
    own_smiles: str | None = None
    own_agrees: bool | None = None
    unique: bool | None = None
    novel: bool | None = None
    posebusters: bool | None = None
    failed_checks: str | None = None
    strain: float | None = None
    strain_rmsd: float | None = None
    strain_bonds_kept: bool | None = None
    strain_ending: str | None = None
    bounded: bool = False
    reason: str = ""


@dataclass(frozen=True, eq=False)
class ScoredMolecules:
    """Samples judged.

    Attributes:
        entries: all samples, failures included.
        verdicts: one a sample, None for a failure.
        seed: of the bootstrap.
    """

    entries: tuple[MoleculeEntry, ...]
    verdicts: tuple[MoleculeVerdict | None, ...]
    seed: int

    @property
    def readable(self) -> list[MoleculeVerdict]:
        """Those of the samples that are no failures."""
        return [verdict for verdict in self.verdicts if verdict is not None]

    def holds(self, test: Callable[[MoleculeVerdict], bool]) -> Bool[np.ndarray, "samples"]:
        """A verdict for each sample; never of a failure."""
        return np.array([verdict is not None and test(verdict) for verdict in self.verdicts], dtype=bool)

    def metrics(self, reference: Collection[str] | None = None) -> dict[str, Metric]:
        """All shares with intervals.

        Args:
            reference: canonical SMILES without stereo of the known molecules, None without a reference.
        """
        return EDM.intervals(self.columns(reference), self.seed)

    def columns(self, reference: Collection[str] | None = None) -> dict[str, np.ndarray]:
        """One value a sample for each metric; see `metrics`."""
        edm_valid, edm_graphs = self.holds(lambda each: each.edm.valid), self._texts(lambda each: each.edm.smiles)
        valid, graphs = self.holds(lambda each: each.valid), self._graphs()
        columns = {
            "edm.atom_stable": self._atom_stability(),
            "edm.molecule_stable": self.holds(lambda each: each.edm.stable),
            "edm.valid": edm_valid,
            "edm.valid_unique": edm_valid & firsts(edm_graphs),
            "rdkit.valid": valid,
            "rdkit.valid_neutral": valid & self.holds(_is_neutral),
            "rdkit.valid_unique": firsts(graphs),
        }
        if reference is not None:
            columns["rdkit.valid_unique_novel"] = firsts(graphs) & absent(graphs, reference)
        return columns | self._own_columns(reference)

    def _own_columns(self, reference: Collection[str] | None) -> dict[str, np.ndarray]:
        """About the bonds that samples carry, where any does."""
        if all(verdict.carried == "none" for verdict in self.readable):
            return {}
        graphs = self._texts(lambda each: each.own.flat if each.own is not None and each.own_valid else "")
        columns = {
            "own.accepted": self.holds(lambda each: each.own is not None),
            "own.valid": self.holds(lambda each: each.own_valid),
            "own.agrees": self.holds(lambda each: each.same_graph),
            "own.agrees_on_pairs": self.holds(lambda each: each.same_pairs),
            "own.valid_unique": firsts(graphs),
        }
        if reference is not None:
            columns["own.valid_unique_novel"] = firsts(graphs) & absent(graphs, reference)
        return columns

    def _atom_stability(self) -> Float[np.ndarray, "samples"]:
        """Values whose mean is (stable atoms / atoms) of the readable samples times their share of all.

        A failure so counts as a molecule of the mean number of atoms, none of them stable. Each value is linear in the
        molecule's two counts, so that resampling gives the interval of a ratio of sums and not that of the sizes.
        """
        counts = [(verdict.edm.stable_atoms, len(verdict.molecule)) for verdict in self.readable]
        stable, atoms = np.array(counts, dtype=np.float64).T
        ratio = stable.sum() / atoms.sum()
        values = np.zeros(len(self.entries))
        values[self.holds(lambda _: True)] = ratio + (stable - ratio * atoms) / atoms.mean()
        return values

    def _texts(self, text: Callable[[MoleculeVerdict], str]) -> list[str]:
        return ["" if verdict is None else text(verdict) for verdict in self.verdicts]

    def _graphs(self) -> list[str]:
        """Canonical SMILES without stereo of valid samples, else nothing."""
        return self._texts(lambda each: each.perceived.graph.flat if each.perceived.graph and each.valid else "")

    def counts(self) -> dict[str, int]:
        """Generated, failed, bounded, and how many carry bonds."""
        readable = self.readable
        return {
            "generated": len(self.entries),
            "failed": len(self.entries) - len(readable),
            "perception_bounded": sum(_bounded(verdict) for verdict in readable),
            "fragmented": sum(verdict.perceived.graph is not None and not verdict.valid for verdict in readable),
            "carry_bonds": sum(verdict.carried != "none" for verdict in readable),
            "bonds_refused": sum(verdict.carried == "refused" for verdict in readable),
        }

    def rows(self, reference: Collection[str] | None = None) -> tuple[MoleculeResult, ...]:
        """One a sample; see `metrics`."""
        graphs = self._graphs()
        unique = firsts(graphs).tolist()
        novel = [None] * len(graphs) if reference is None else absent(graphs, reference).tolist()
        return tuple(map(_row, self.entries, self.verdicts, unique, novel))


def _row(entry: MoleculeEntry, verdict: MoleculeVerdict | None, unique: bool, novel: bool | None) -> MoleculeResult:
    if verdict is None:
        return MoleculeResult(id=entry.id, index=entry.index, reason=entry.reason)
    perceived = verdict.perceived.graph
    carries = verdict.carried != "none"
    return MoleculeResult(
        id=entry.id,
        index=entry.index,
        formula=verdict.molecule.formula,
        n_atoms=len(verdict.molecule),
        edm_stable_atoms=verdict.edm.stable_atoms,
        edm_stable=verdict.edm.stable,
        edm_valid=verdict.edm.valid,
        valid=verdict.valid,
        smiles=perceived.smiles if perceived else None,
        charge=perceived.charge if perceived else None,
        carried_bonds=verdict.carried,
        own_valid=verdict.own_valid if carries else None,
        own_smiles=verdict.own.smiles if verdict.own else None,
        own_agrees=verdict.same_graph if carries else None,
        unique=unique,
        novel=novel,
        bounded=_bounded(verdict),
        reason=entry.reason or _objection(verdict),
    )


def firsts(keys: Sequence[str]) -> Bool[np.ndarray, "samples"]:
    """Whether a sample is the first with its key; never where the key is empty."""
    first: dict[str, int] = {}
    return np.array([key != "" and first.setdefault(key, n) == n for n, key in enumerate(keys)], dtype=bool)


def absent(keys: Sequence[str], reference: Collection[str]) -> Bool[np.ndarray, "samples"]:
    """Whether a sample has a key that the reference does not have."""
    return np.array([key != "" and key not in reference for key in keys], dtype=bool)


def _is_neutral(verdict: MoleculeVerdict) -> bool:
    return verdict.perceived.graph is not None and verdict.perceived.graph.charge == 0


def _objection(verdict: MoleculeVerdict) -> str:
    """Why the positions are no molecule; empty where they are."""
    graph = verdict.perceived.graph
    if graph is None:
        return verdict.perceived.reason
    if verdict.valid:
        return ""
    return f"{graph.fragments} fragments" if graph.fragments > 1 else f"{graph.radicals} unpaired electrons"


def _bounded(verdict: MoleculeVerdict) -> bool:
    return verdict.perceived.graph is None and verdict.perceived.bounded
