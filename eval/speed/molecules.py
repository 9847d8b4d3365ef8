"""CPU-seconds a molecule and a conformer, against RDKit's ETKDG in the same run.

python eval/speed/molecules.py --model unigen-molecule-small

One thread, CPU time. Conformers are of molecules of a built dataset, two of each; ETKDG gets the same SMILES.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from measurement import circumstances, write

from unigen.data.molecule_store import open_molecules
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.models.checkpoint import model_folder
from unigen.models.generator import Job
from unigen.request import MoleculeRequest
from unigen.sample.load import load

BATCHES = (1, 64, 256)
PER_MOLECULE = 2


def cpu_seconds(work: Callable[[], object], made: int) -> float:
    """CPU-seconds each."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / made


def measure(model: str, smiles: list[str], batch: int) -> dict[str, float]:
    """One batch of everything."""
    generator, kept = load(model), smiles[: max(batch // PER_MOLECULE, 1)]
    de_novo = [Job(MoleculeRequest(), 0, index, 0) for index in range(batch)]
    conformers = [
        Job(MoleculeRequest(smiles=text), place, index, 0)
        for place, text in enumerate(kept)
        for index in range(PER_MOLECULE)
    ]
    return {
        "de_novo": cpu_seconds(lambda: generator.draw(de_novo), batch),
        "conformer": cpu_seconds(lambda: generator.draw(conformers), len(conformers)),
        "etkdg": cpu_seconds(lambda: [etkdg_conformers(text, PER_MOLECULE) for text in kept], len(conformers)),
        "etkdg_mmff": cpu_seconds(
            lambda: [etkdg_conformers(text, PER_MOLECULE, mmff=True) for text in kept], len(conformers)
        ),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="unigen-molecule-small")
    parser.add_argument("--molecules-from", default="qm9:test", help="built dataset whose SMILES get conformers")
    options = parser.parse_args()
    torch.set_num_threads(1)
    facts = circumstances(threads=1)
    smiles = open_molecules(options.molecules_from).smiles[: max(BATCHES)].tolist()
    measure(options.model, smiles, 2)  # warm-up
    found = {batch: measure(options.model, smiles, batch) for batch in BATCHES}
    for batch, each in found.items():
        for name, value in each.items():
            ratio = value / each["etkdg"]
            print(f"batch {batch:3d}  {name:10s} {value:8.4f} CPU-s each  {ratio:6.2f} x ETKDG", flush=True)
    write(
        "molecules",
        facts
        | {"model": model_folder(options.model).name, "molecules_from": options.molecules_from}
        | {"unit": "CPU-seconds each, redraws of conformers included"}
        | {"by_batch": {batch: {k: round(v, 5) for k, v in each.items()} for batch, each in found.items()}}
        | {"ratio_to_etkdg": {batch: round(each["conformer"] / each["etkdg"], 2) for batch, each in found.items()}},
    )


if __name__ == "__main__":
    main()
