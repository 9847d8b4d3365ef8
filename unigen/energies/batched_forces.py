"""Energies, forces and stresses of many crystals at a time, by the potentials that compute in batches.

The ASE calculators of CHGNet and SevenNet take one structure; the networks behind them take many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal, TypedDict

import numpy as np

from unigen.elements import SYMBOLS
from unigen.shapes import Float

if TYPE_CHECKING:
    from ase import Atoms
    from chgnet.model.dynamics import CHGNetCalculator
    from sevenn.calculator import SevenNetCalculator


class SinglePoint(TypedDict):
    """What a calculator computes of one structure: eV, eV/Angstrom, eV/Angstrom^3 (Voigt's order)."""

    energy: float
    forces: Float[np.ndarray, "atoms 3"]
    stress: Float[np.ndarray, "6"]


BatchCalculator = Callable[[Sequence["Atoms"]], list[SinglePoint]]
"""One result a structure, in their order; raises what the potential raises at any one of them."""

EnergyCalculator = Callable[[Sequence["Atoms"]], list[float]]
"""The energies alone, eV a structure: without the derivatives they cost a third to a quarter. Raises likewise."""


MOST_ATOMS = {"cpu": 100, "cuda": 3_000}
"""Atoms of structures whose energies are computed together, by device. CHGNet on one CPU thread, five volumes of a
cell: 5 atoms 6.0 ms a structure alone and 3.5 together, 20 atoms 23 and 20, 30 atoms 40 and 44, 100 atoms 230 and 295;
and 2,200 atoms together fill 10 GB. A GPU has more lanes, and memory for some times as many. Fixed numbers, and not
what a probe finds on a busy machine: the last digits of an energy depend on what it is computed with, and a seed gives
the same bytes."""


def in_parts(compute: EnergyCalculator, most_atoms: int) -> EnergyCalculator:
    """The same energies, of batches of at most so many atoms, or of one structure."""

    def in_turn(structures: Sequence[Atoms]) -> list[float]:
        energies: list[float] = []
        part: list[Atoms] = []
        for atoms in structures:
            if part and sum(map(len, part)) + len(atoms) > most_atoms:
                energies += compute(part)
                part = []
            part.append(atoms)
        return energies + (compute(part) if part else [])

    return in_turn


def check_chgnet_knows(chgnet: CHGNetCalculator, structures: Sequence[Atoms]) -> None:
    """Raise ValueError where a structure has an element beyond CHGNet's table, at which its matrices would not fit."""
    network: Any = chgnet.model
    heaviest = network.composition_model.fc.weight.shape[1]
    unknown = sorted({int(number) for atoms in structures for number in atoms.numbers if number > heaviest})
    if unknown:
        raise ValueError(f"CHGNet knows no {', '.join(SYMBOLS[number] for number in unknown)}")


def chgnet_batches(chgnet: CHGNetCalculator) -> BatchCalculator:
    """As CHGNet's calculator computes them one by one."""

    def compute(structures: Sequence[Atoms]) -> list[SinglePoint]:
        return [
            # the weight takes CHGNet's stress from GPa to eV/Angstrom^3
            SinglePoint(energy=energy, forces=each["f"], stress=_voigt(each["s"] * chgnet.stress_weight))
            for energy, each in _chgnet_predictions(chgnet, structures, "efs")
        ]

    return compute


def chgnet_energies(chgnet: CHGNetCalculator) -> EnergyCalculator:
    """As CHGNet's calculator computes them one by one."""
    return lambda structures: [energy for energy, _ in _chgnet_predictions(chgnet, structures, "e")]


def _chgnet_predictions(
    chgnet: CHGNetCalculator, structures: Sequence[Atoms], task: Literal["e", "efs"]
) -> list[tuple[float, dict[str, Any]]]:
    """Energy in eV, and all that CHGNet says, of each structure."""
    from pymatgen.io.ase import AseAtomsAdaptor

    check_chgnet_knows(chgnet, structures)
    graphs = [chgnet.model.graph_converter(AseAtomsAdaptor.get_structure(atoms)) for atoms in structures]
    predictions: Any = chgnet.model.predict_graph(graphs, task=task, batch_size=len(graphs))
    if len(graphs) == 1:  # CHGNet then returns the dictionary itself
        predictions = [predictions]
    # an intensive network says eV/atom
    return [
        (float(each["e"]) * (len(atoms) if chgnet.model.is_intensive else 1), each)
        for atoms, each in zip(structures, predictions, strict=True)
    ]


def sevennet_batches(sevennet: SevenNetCalculator) -> BatchCalculator:
    """As SevenNet's calculator computes them one by one."""

    def compute(structures: Sequence[Atoms]) -> list[SinglePoint]:
        from sevenn import _keys as KEY  # noqa: N812 - their name of it
        from sevenn.util import to_atom_graph_list

        predictions = to_atom_graph_list(_sevennet_prediction(sevennet, sevennet.model, structures))
        for graph in predictions:
            graph[KEY.PRED_STRESS] = graph[KEY.PRED_STRESS][0]  # to_atom_graph_list adds an axis
        results = map(sevennet.output_to_results, predictions)
        return [SinglePoint(energy=each["energy"], forces=each["forces"], stress=each["stress"]) for each in results]

    return compute


def sevennet_energies(sevennet: SevenNetCalculator) -> EnergyCalculator:
    """As SevenNet's calculator computes them one by one."""
    import torch
    from sevenn import _keys as KEY  # noqa: N812 - their name of it

    without_forces: Any = deepcopy(sevennet.model)
    without_forces.delete_module_by_key("force_output")

    def compute(structures: Sequence[Atoms]) -> list[float]:
        with torch.no_grad():
            prediction = _sevennet_prediction(sevennet, without_forces, structures)
        return prediction[KEY.PRED_TOTAL_ENERGY].reshape(-1).tolist()

    return compute


def _sevennet_prediction(sevennet: SevenNetCalculator, network: Any, structures: Sequence[Atoms]) -> Any:
    """What the network says of the structures, in one batch of their graphs."""
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph
    from torch_geometric.data import Batch

    for atoms in structures:
        sevennet.set_atoms(atoms)  # raises at an element it does not know
    graphs = [unlabeled_atoms_to_graph(atoms, sevennet.cutoff, with_shift=False) for atoms in structures]
    batch = Batch.from_data_list([AtomGraphData.from_numpy_dict(graph) for graph in graphs])
    # the network may be the calculator's own, which computes one structure at a time: set back afterwards
    network.set_is_batch_data(True)
    try:
        return network(batch.to(sevennet.device))
    finally:
        network.set_is_batch_data(False)


def _voigt(stress: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "6"]:
    return stress[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
