"""Structures a CPU-second of the encoders, paired against message passing in the same run.

python eval/speed/encoders.py

One thread, CPU time, 32 crystals of MP-20 test and 64 molecules of QM9 test a batch, neighbours within 5 Angstrom,
three layers at a width of 64; forward alone, and forward with backward. Beside it what finding the neighbours costs, by
vesin and by ASE. Measurements take turns; a ratio is the median of the turns' own.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from ase.neighborlist import neighbor_list
from measurement import circumstances, write

from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.molecule_store import open_molecules
from unigen.models.property.batch import graph_of
from unigen.molecules.molecule import Molecule
from unigen.nn.encoders.choice import EquivariantChoice, FrameAveragingChoice, MessagePassingChoice, build_encoder
from unigen.nn.encoders.graphs import AtomGraphs, Encoder, collate_graphs

CUTOFF, TURNS = 5.0, 7
FIRST = "message_passing"
ENCODERS = {
    FIRST: MessagePassingChoice(width=64, cutoff=CUTOFF),
    "frame_averaging": FrameAveragingChoice(width=64, cutoff=CUTOFF),
    "equivariant": EquivariantChoice(width=64, cutoff=CUTOFF),
}


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU-milliseconds of one call."""
    started = time.process_time()
    work()
    return 1000.0 * (time.process_time() - started)


def encode(encoder: Encoder, graphs: AtomGraphs) -> None:
    """Forward alone."""
    with torch.inference_mode():
        encoder.eval()(graphs)


def learn(encoder: Encoder, graphs: AtomGraphs) -> None:
    """Forward and backward, as in training."""
    encoder.train()(graphs).structures.square().sum().backward()


def compared(works: dict[str, Callable[[], object]], first: str) -> dict[str, dict[str, float]]:
    """Least time in milliseconds and ratio to the first, by name."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for work in works.values():
        work()  # the first call imports and allocates
    for _ in range(TURNS):
        for name, work in works.items():
            times[name].append(cpu_ms(work))
    return {
        name: {
            "ms": round(min(turns), 2),
            "ratio": round(statistics.median(a / b for a, b in zip(turns, times[first], strict=True)), 3),
        }
        for name, turns in times.items()
    }


def by_vesin(structures: Sequence[Crystal | Molecule]) -> None:
    """Graphs as the encoders read them."""
    for structure in structures:
        graph_of(structure, CUTOFF)


def by_ase(structures: Sequence[Crystal | Molecule]) -> None:
    """The same neighbours by ASE."""
    for structure in structures:
        neighbor_list("ijS", structure.to_ase(), CUTOFF)


def main() -> None:
    """Measure, print, write."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    crystals, molecules = open_crystals("mp-20:test"), open_molecules("qm9:test")
    kinds: dict[str, list[Crystal] | list[Molecule]] = {
        "crystals": [crystals[int(row)] for row in rng.permutation(len(crystals))[:32]],
        "molecules": [molecules[int(row)] for row in rng.permutation(len(molecules))[:64]],
    }
    encoders = {name: build_encoder(choice) for name, choice in ENCODERS.items()}
    content: dict[str, object] = dict(circumstances(threads=1)) | {
        "parameters": {name: sum(p.numel() for p in encoder.parameters()) for name, encoder in encoders.items()}
    }
    for kind, structures in kinds.items():
        graphs = collate_graphs([graph_of(structure, CUTOFF) for structure in structures])
        forward = {name: partial(encode, encoder, graphs) for name, encoder in encoders.items()}
        training = {name: partial(learn, encoder, graphs) for name, encoder in encoders.items()}
        neighbours = {
            "vesin": partial(by_vesin, structures),
            "ASE": partial(by_ase, structures),
        }
        found = {
            "structures": len(structures),
            "atoms": len(graphs.numbers),
            "pairs": graphs.pairs.shape[1],
            "forward": compared(forward, FIRST),
            "training": compared(training, FIRST),
            "neighbours": compared(neighbours, "vesin"),
        }
        content[kind] = found
        print(kind, found["forward"], found["training"], found["neighbours"], sep="\n")
    write("encoders", content)


if __name__ == "__main__":
    main()
