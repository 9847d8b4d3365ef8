"""CPU-milliseconds a molecule, by what is asked for, against the code of an earlier commit.

python eval/speed/molecule_decoding.py --against 1897585

Both trees draw the same requests with the same seeds, one thread, in processes of their own that take turns; a ratio is
of one turn, and the median of them is told. "De novo" begins with a grammar that nobody has asked; "SMILES" is the
writing alone of a later batch, whose grammar remembers the first; "grammar" is a new grammar alone, along random walks.
Commands are told whole, imports included.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from measurement import compare_with_commit, cpu_seconds

from unigen.models.generator import Job
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.smiles_decoding import draw_smiles
from unigen.molecules.molecule import Molecule
from unigen.report.pictures.molecules import draw_molecules
from unigen.request import MoleculeRequest
from unigen.sample.load import load
from unigen.smiles.grammar import SmilesGrammar

BATCH, DRAWN = 256, 12
"""Molecules a batch and on a picture, as the command has them."""
FORMULAS = ("C7H10O2", "C6H11NO2", "C8H14O", "C7H9NO", "C5H6N2O2", "C6H8FNO", "C9H12", "C4H5N3O2")
SMILES = ("C[C@H](O)C#N", "F/C=C/C1CC1", "CC1=CC(=O)NC1")
COMMANDS = {
    "command, 300 molecules": ("--n", "300", "--no-page"),
    "command, one conformer": ("--smiles", "CCO", "--no-page", "--no-picture"),
}


def main() -> None:
    """Measure, print, write."""
    compare_with_commit(
        __file__,
        "a molecule, a picture or a command",
        measured,
        model="unigen-molecule-small",
        against="1897585",
        turns=3,
    )


def milliseconds(work: Callable[[], object], made: int = 1) -> float:
    """CPU-milliseconds each."""
    started = time.process_time()
    work()
    return (time.process_time() - started) / made * 1000


def measured(model: str) -> dict[str, float]:
    """CPU-milliseconds by case, with the code on the path."""
    torch.set_num_threads(1)
    generator = load(model)
    assert isinstance(generator, MoleculeGenerator)
    de_novo = [Job(MoleculeRequest(), 0, index, 0) for index in range(BATCH)]
    formulas = [Job(MoleculeRequest(formula=text), n, k, 0) for n, text in enumerate(FORMULAS) for k in range(8)]
    conformers = [Job(MoleculeRequest(smiles=text), n, k, 0) for n, text in enumerate(SMILES) for k in range(16)]
    generator.draw(conformers[:2])  # warm-up
    found = {}
    for name, jobs in {"de novo": de_novo, "of a formula": formulas, "conformer": conformers}.items():
        found[name] = milliseconds(lambda jobs=jobs: generator.draw(jobs), len(jobs))
    found["de novo, one by one"] = milliseconds(lambda: [generator.draw([job]) for job in de_novo[:8]], 8)
    found["SMILES"] = milliseconds(lambda: smiles_alone(generator, de_novo), BATCH)
    found["grammar"] = milliseconds(lambda: random_walks(BATCH), BATCH)
    molecules = [drawn.structure for drawn in generator.draw(de_novo[: 2 * DRAWN]) if drawn.structure][:DRAWN]
    pictured(molecules)  # warm-up
    found["picture"] = milliseconds(lambda: pictured(molecules))
    for name, words in COMMANDS.items():
        with tempfile.TemporaryDirectory() as folder:
            command = ("-m", "unigen", "generate", "molecule", *words, "--model", model, "--out", f"{folder}/run")
            found[name] = cpu_seconds(command) * 1000
    return found


def smiles_alone(generator: MoleculeGenerator, jobs: list[Job[MoleculeRequest]]) -> list[list[int]]:
    """The SMILES of molecules de novo."""
    grammars = [generator.resolver.grammar(None) for _ in jobs]
    uniforms = np.random.default_rng(0).random((len(jobs), 12 * int(generator.model.most_heavy)))
    temperature = generator.settings.symbol_temperature
    return draw_smiles(generator.model, grammars, [{} for _ in jobs], uniforms, temperature)


def random_walks(count: int) -> None:
    """Walks along legal symbols, all of one grammar."""
    rng, grammar = np.random.default_rng(0), SmilesGrammar(stereo=True)
    for _ in range(count):
        walk = grammar.start()
        while not walk.ended:
            walk = walk.write(int(rng.choice(np.flatnonzero(walk.legal()))))


def pictured(molecules: list[Molecule]) -> None:
    """As many as on a picture of the command."""
    with tempfile.TemporaryDirectory() as folder:
        draw_molecules(molecules, Path(folder) / "samples.png")


if __name__ == "__main__":
    main()
