"""How alike samples and reference are as chemistry: the metrics of MOSES, and the share that is sound in space.

Polykovskiy et al., Frontiers in Pharmacology 11, 565644 (2020). Fingerprints, fragments and scaffolds are RDKit's, as
there. Left out are FCD, whose network no package ships, and the filters, whose list is MOSES' own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.errors import UserError
from unigen.eval.molecules.protocol import MosesRules
from unigen.eval.molecules.reference import MoleculeReference
from unigen.eval.molecules.scores import ScoredMolecules
from unigen.eval.report import Outcome
from unigen.eval.statistics import Metric, wasserstein
from unigen.eval.tables import Section
from unigen.molecules.descriptors import computed
from unigen.molecules.geometry_check import fault_of
from unigen.molecules.molecule import Molecule
from unigen.parallel import Workers

if TYPE_CHECKING:
    from rdkit.Chem import Mol


@dataclass(frozen=True, eq=False)
class MedicinalView:
    """What these metrics see of a molecule.

    Attributes:
        fingerprint: Morgan's, as text of RDKit's.
        fragments: of BRICS, with their counts.
        scaffold: of Bemis and Murcko, as SMILES; empty without rings.
        descriptors: in the order of the rules.
    """

    fingerprint: str
    fragments: dict[str, int]
    scaffold: str
    descriptors: tuple[float, ...]


def with_moses(
    outcome: Outcome,
    scored: ScoredMolecules,
    reference: MoleculeReference | None,
    rules: MosesRules,
    count: int,
    workers: Workers,
) -> Outcome:
    """With the metrics of the first samples against as many molecules of the reference.

    Beside them stands what the reference gets against other molecules of itself: no generator does better but by
    chance, or by knowing fewer molecules.

    Raises:
        UserError: no reference, or one of too few molecules to be held against itself.
    """
    if reference is None:
        raise UserError("--moses: held against a reference", next_step="name one, such as --reference drugs:val")
    if len(reference.smiles) < 2:
        raise UserError("--moses: a reference of one molecule", where=reference.name)
    view = partial(viewed, rules=rules)
    verdicts = scored.verdicts[:count]
    graphs = [verdict.stated if verdict else None for verdict in verdicts]
    texts = list(dict.fromkeys(graph.flat for graph in graphs if graph is not None and graph.whole))
    seen = [each for each in workers.map(view, texts, "MOSES' metrics") if each is not None]
    order = np.random.default_rng(scored.seed).permutation(len(reference.smiles))
    # at most half of the reference on either side
    drawn = [str(reference.smiles[int(place)]) for place in order[: min(2 * count, len(order))]]
    known = [each for each in workers.map(view, drawn, "MOSES' metrics, reference") if each is not None]
    half = len(known) // 2
    columns = {
        "samples": compared(seen, known[:half], rules) if seen else {},
        "reference": compared(known[half:], known[:half], rules),
    }
    sound = np.array([verdict is not None and _is_sound(verdict.molecule) for verdict in verdicts], dtype=bool)
    metrics = {f"moses.{name}": metric for name, metric in columns["samples"].items()}
    metrics |= rules.intervals({"moses.sound": sound}, scored.seed)
    rows: dict[str, dict[str, Metric | int]] = {
        name: {column: values[name] for column, values in columns.items() if name in values}
        for name in columns["reference"]
    }
    note = (
        f"{len(seen)} different molecules of the first {len(verdicts)} samples against {half} of the reference; beside "
        "them other molecules of the reference against the same"
    )
    return replace(
        outcome,
        metrics=outcome.metrics | metrics,
        counts=outcome.counts | {"moses": len(verdicts), "moses_different": len(seen)},
        sections=outcome.sections | {"moses": Section("MOSES' metrics", rows, note)},
    )


def compared(
    samples: Sequence[MedicinalView], reference: Sequence[MedicinalView], rules: MosesRules
) -> dict[str, Metric]:
    """Every metric of some molecules against others."""
    n = len(samples)
    prints, known = ([_bits(each.fingerprint) for each in views] for views in (samples, reference))
    found = {
        "snn": Metric(float(np.mean([_most_alike(each, known) for each in prints])), n=n),
        "int_div": Metric(_internal_diversity(prints), n=n),
        "frag": Metric(_cosine(*([each.fragments for each in views] for views in (samples, reference))), n=n),
        "scaf": Metric(
            _cosine(*([{each.scaffold: 1} for each in views if each.scaffold] for views in (samples, reference))), n=n
        ),
    }
    for place, name in enumerate(rules.descriptors):
        values = ([each.descriptors[place] for each in views] for views in (samples, reference))
        found[f"w_{name}"] = Metric(wasserstein(*values), n=n)
    return found


def viewed(smiles: str, rules: MosesRules) -> MedicinalView | None:
    """What the metrics see; None for a text that is no molecule, or several."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import BRICS, rdFingerprintGenerator
    from rdkit.Chem.Scaffolds import MurckoScaffold

    with rdBase.BlockLogs():
        mol: Mol | None = Chem.MolFromSmiles(smiles)
        if mol is None or not mol.GetNumAtoms() or len(Chem.GetMolFrags(mol)) > 1:
            return None
        generator = rdFingerprintGenerator.GetMorganGenerator(radius=rules.radius, fpSize=rules.bits)
        broken: Any = BRICS.BreakBRICSBonds(mol)
        fragments = Counter(Chem.MolToSmiles(broken).split("."))
        scaffold = MurckoScaffold.GetScaffoldForMol(mol)
        rings = scaffold.GetRingInfo().NumRings() if scaffold.GetNumAtoms() else 0
        return MedicinalView(
            fingerprint=generator.GetFingerprint(mol).ToBase64(),
            fragments=dict(fragments),
            scaffold=Chem.MolToSmiles(scaffold) if rings else "",
            descriptors=tuple(computed(mol, rules.descriptors).values()),
        )


def _is_sound(molecule: Molecule) -> bool:
    return bool(len(molecule.bonds)) and not fault_of(molecule)


def _bits(text: str) -> Any:
    from rdkit.DataStructs import ExplicitBitVect

    bits = ExplicitBitVect(0)
    bits.FromBase64(text)
    return bits


def _most_alike(bits: Any, known: Sequence[Any]) -> float:
    from rdkit.DataStructs import BulkTanimotoSimilarity

    return float(max(BulkTanimotoSimilarity(bits, known)))


def _internal_diversity(prints: Sequence[Any]) -> float:
    """One minus the mean similarity of all pairs, each molecule with itself among them, as MOSES has it."""
    from rdkit.DataStructs import BulkTanimotoSimilarity

    return 1.0 - float(np.mean([np.mean(BulkTanimotoSimilarity(bits, prints)) for bits in prints]))


def _cosine(first: Sequence[dict[str, int]], second: Sequence[dict[str, int]]) -> float | None:
    """Of the vectors of how often each thing occurs; None where one side has none."""
    totals: list[Counter[str]] = [Counter(), Counter()]
    for total, parts in zip(totals, (first, second), strict=True):
        for part in parts:
            total.update(part)
    lengths = [float(np.sqrt(sum(count**2 for count in total.values()))) for total in totals]
    if not all(lengths):
        return None
    return float(sum(count * totals[1][name] for name, count in totals[0].items()) / (lengths[0] * lengths[1]))
