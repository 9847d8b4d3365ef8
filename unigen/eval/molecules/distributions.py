"""How alike the sizes, elements and bond lengths of samples and reference are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from unigen.elements import SYMBOLS
from unigen.eval.molecules.graph import Graph
from unigen.eval.statistics import Metric, total_variation, wasserstein
from unigen.eval.tables import Section
from unigen.molecules.molecule import Molecule

Lengths = dict[str, list[float]]


def size_metrics(samples: Sequence[Molecule], references: Sequence[Molecule]) -> dict[str, Metric]:
    """Wasserstein distances of the numbers of atoms and of heavy atoms, total variation of the elements' shares."""
    n = len(samples)
    sizes, heavy = (
        [[float((molecule.numbers > lightest).sum()) for molecule in each] for each in (samples, references)]
        for lightest in (0, 1)
    )
    elements = [_elements(each) for each in (samples, references)]
    return {
        "w_atoms": Metric(wasserstein(*sizes), n=n),
        "w_heavy_atoms": Metric(wasserstein(*heavy), n=n),
        "tv_elements": Metric(total_variation(*elements) if all(each.any() for each in elements) else None, n=n),
    }


def _elements(molecules: Sequence[Molecule]) -> np.ndarray:
    """Share of each element among all atoms, by atomic number."""
    counts = np.zeros(len(SYMBOLS))
    for molecule in molecules:
        counts += np.bincount(molecule.numbers, minlength=len(SYMBOLS))
    return counts / max(counts.sum(), 1)


def lengths_by_kind(graphs: Iterable[Graph]) -> Lengths:
    """Every bond length in Angstrom by kind of bond, ``"C-H"``."""
    lengths: Lengths = defaultdict(list)
    for graph in graphs:
        for kind, length in graph.lengths:
            lengths[kind].append(length)
    return lengths


def length_metric(samples: Lengths, references: Lengths) -> Metric:
    """Wasserstein distance of bond lengths in Angstrom: mean over the kinds of bond, weighted as in the reference.

    Kinds that no sample has are left out; the section shows them.
    """
    shared = [kind for kind in references if samples.get(kind)]
    if not shared:
        return Metric(None)
    distances = [wasserstein(samples[kind], references[kind]) or 0.0 for kind in shared]
    weights = [len(references[kind]) for kind in shared]
    return Metric(float(np.average(distances, weights=weights)), n=sum(len(samples[kind]) for kind in shared))


def length_section(samples: Lengths, references: Lengths) -> Section:
    """Bonds by kind, the most frequent in the reference first."""
    order = sorted(references, key=lambda kind: -len(references[kind]))
    rows: dict[str, dict[str, Metric | int]] = {}
    for kind in [*order, *sorted(samples.keys() - references.keys())]:
        ours, theirs = samples.get(kind, []), references.get(kind, [])
        rows[kind] = {
            "bonds": len(ours),
            "mean_length": Metric(float(np.mean(ours)) if ours else None, n=len(ours)),
            "mean_length_reference": Metric(float(np.mean(theirs)) if theirs else None, n=len(theirs)),
            "w_length": Metric(wasserstein(ours, theirs), n=len(ours)),
        }
    note = "Angstrom; '-' single, '=' double, '#' triple, ':' aromatic; bonds as the positions say, on both sides"
    return Section("Bond lengths", rows, note, printed=10)
