"""What both protocols say about one molecule: the unit of work of `unigen evaluate molecules`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from unigen.errors import UserError
from unigen.eval.molecules.edm import EdmVerdict, judge_edm
from unigen.eval.molecules.graph import Graph, Perception, graph_of, perceive
from unigen.eval.molecules.protocol import EdmRules, RdkitRules
from unigen.eval.molecules.samples import Carried, MoleculeEntry
from unigen.molecules.molecule import Molecule


@dataclass(frozen=True, eq=False)
class MoleculeVerdict:
    """Everything that is found out about a molecule by itself.

    Attributes:
        molecule: as judged.
        edm: EDM's verdict, from the distances.
        perceived: RDKit's, from the distances.
        carried: what became of the bonds the sample carries.
        own: their graph, None where there are none or RDKit refuses them.
    """

    molecule: Molecule
    edm: EdmVerdict
    perceived: Perception
    carried: Carried = "none"
    own: Graph | None = None

    @property
    def valid(self) -> bool:
        """RDKit finds one closed-shell molecule in the positions, with one of the net charges."""
        return self.perceived.graph is not None and self.perceived.graph.whole

    @property
    def own_valid(self) -> bool:
        """The carried bonds are those of one closed-shell molecule."""
        return self.own is not None and self.own.whole

    @property
    def same_graph(self) -> bool:
        """The carried bonds and the perceived ones have one canonical SMILES."""
        perceived = self.perceived.graph
        return self.own is not None and perceived is not None and self.own.flat == perceived.flat

    @property
    def same_pairs(self) -> bool:
        """The same atoms are bonded, whatever the orders and charges."""
        perceived = self.perceived.graph
        if self.own is None or perceived is None:
            return False
        return np.array_equal(self.own.molecule.bonds[:, :2], perceived.molecule.bonds[:, :2])

    @property
    def stated(self) -> Graph | None:
        """The carried graph or, where no bonds are carried, the perceived one."""
        return self.perceived.graph if self.carried == "none" else self.own


def judge(entry: MoleculeEntry, edm: EdmRules, rdkit: RdkitRules) -> MoleculeVerdict | None:
    """Both protocols on one sample; None for a failure."""
    if entry.molecule is None:
        return None
    own = None
    if entry.carried == "accepted":
        # a molecule in memory has bonds that nobody has shown to RDKit before
        with suppress(UserError):
            own = graph_of(entry.molecule)
    return MoleculeVerdict(
        molecule=entry.molecule,
        edm=judge_edm(entry.molecule, edm.margins),
        perceived=perceive(entry.molecule, rdkit.charges),
        carried=entry.carried,
        own=own,
    )
