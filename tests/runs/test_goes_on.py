"""A run that is cut off anywhere, several times, ends in the bytes of one that was not."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.models.small_molecules import small_molecule_model
from tests.models.small_wyckoff import small_wyckoff
from tests.retrieval.known_templates import retriever
from unigen.models.generator import Candidate, Job
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.settings import MoleculeSettings
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.settings import WyckoffSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.generation import RunSettings, run_generation
from unigen.runs.molecule_files import MoleculeFolder

# cells that come again in a later batch: what a run has found of them it must find alone when it begins there
CRYSTALS = [
    *(
        CrystalRequest(formula=formula, z=1)
        for formula in ("NaCl", "SrTiO3", "Fe2O3", "NaCl", "SrTiO3", "KNbO3", "MgO")
    ),
    CrystalRequest(),
]
MOLECULES = [*(MoleculeRequest(smiles=smiles) for smiles in ("CCO", "C#N", "OCC", "F/C=C/Cl")), MoleculeRequest()]


class Killed(BaseException):
    """What ends a run in these tests."""


def crystals() -> WyckoffGenerator:
    return WyckoffGenerator(
        small_wyckoff(width=64, reranker_width=64),
        retriever(),
        "small",
        settings=WyckoffSettings(steps=1, redraws=0, anew=10.0),
        score_steps=1,
    )


def molecules() -> MoleculeGenerator:
    return MoleculeGenerator(small_molecule_model(), "small", settings=MoleculeSettings(steps=2, redraws=1))


def run(kind: str, path: Path, draws: int | None = None) -> None:
    """As in a new process, until so many batches are drawn."""
    generator = crystals() if kind == "crystals" else molecules()
    draw: Callable[[list[Job]], list[Candidate]] = generator.draw
    drawn = 0

    def counted(jobs: list[Job]) -> list[Candidate]:
        nonlocal drawn
        if drawn == draws:
            raise Killed
        drawn += 1
        return draw(jobs)

    requests: Sequence = CRYSTALS if kind == "crystals" else MOLECULES
    folder = CrystalFolder(path, formats=()) if kind == "crystals" else MoleculeFolder(path)
    with patch.object(generator, "draw", counted), patch.object(RunSettings, "load", lambda *_: generator):
        run_generation(requests, folder, RunSettings(n=2, seed=1, batch_size=4))


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@cache
def uninterrupted(kind: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        run(kind, Path(folder) / "run")
        return contents(Path(folder) / "run")


@pytest.mark.parametrize("lost", [0, 400])
@pytest.mark.parametrize("kind", ["crystals", "molecules"])
def test_killed_again_and_again(kind, lost, tmp_path):
    """After every batch, or every second one when some bytes of its last lines never reach the disk."""
    path, kills = tmp_path / "run", 0
    while True:
        try:
            run(kind, path, draws=2 if lost else 1)
            break
        except Killed:
            kills += 1
            journal = path / "samples.jsonl"
            os.truncate(journal, journal.stat().st_size - lost)
    assert kills
    assert contents(path) == uninterrupted(kind)
