"""The commands of every README run as written, in order, each document in a folder of its own."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pymatgen.analysis.diffraction.xrd import XRDCalculator
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedEntry
from rdkit import Chem

from tests.crystals.real_crystals import prototypes
from unigen.molecules.molecule import Molecule

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = {
    name: (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "models/README.md", "eval/README.md", "data/README.md", "configs/README.md")
}


def commands(text: str) -> list[list[str]]:
    """What a document says to run, line by line of its shell blocks and block by block of its Python, in its order."""
    made = []
    for language, block in re.findall(r"```(bash|python)\n(.*?)```", text, flags=re.DOTALL):
        if language == "python":
            made.append([sys.executable, "-c", block])
        else:
            made += [["bash", "-c", line] for line in block.splitlines() if line]
    return made


FETCHED = ("oqmd-icsd", "qm9", "moses", "drugs")
ALL = [command for text in DOCUMENTS.values() for command in commands(text)]
THAT_FETCH = sorted({line for shell, _, line in ALL if shell == "bash" and any(name in line for name in FETCHED)})
MADE = {
    "README.md": ("run/samples.extxyz", "denovo.json", "csp.csv", "molecules.json", "from_mine/run.yaml"),
    "models/README.md": (
        "ranked/cif_symmetrised",
        "tio2/ranking.csv",
        "salt/transitions.csv",
        "grown/samples.sdf",
        "layers/inspect.json",
        "predicted/predictions.csv",
    ),
    "eval/README.md": ("denovo.json", "csp.csv", "stable.csv", "relaxed/relaxed.extxyz", "conformers.json"),
    "data/README.md": ("home/datasets/mine", "home/datasets/my-molecules"),
    "configs/README.md": ("from_mine/run.yaml", "runs/mine-wyckoff/model", "runs/tuned/model/card.yaml"),
}


def pattern_of_rutile() -> str:
    """A powder pattern as a diffractometer would write it: angles and counts, lines of 0.15 degrees on a background."""
    rutile = Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.594, 2.959), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    )
    lines = XRDCalculator("CuKa").get_pattern(rutile, two_theta_range=(18, 82))
    angles = np.arange(20, 80, 0.05)
    counts = 50 + 10 * (lines.y * np.exp(-(((angles[:, None] - lines.x) / 0.09) ** 2))).sum(axis=1)
    return "".join(f"{angle:.2f} {count:.1f}\n" for angle, count in zip(angles, counts, strict=True))


@pytest.fixture
def desk(tmp_path):
    """A user's folder: some CIFs and molecules of their own, some samples and references, the configs."""
    desk = tmp_path / "desk"
    desk.mkdir()
    for folder in ("my_cifs", "my_samples", "my_references"):
        (desk / folder).mkdir()
        for index, crystal in enumerate(prototypes(40)):
            crystal.to_cif(desk / folder / f"prototype-{index}.cif")
    hardness = "".join(f"prototype-{index},{2 + index % 7}\n" for index in range(40))
    (desk / "hardness.csv").write_text("id,hardness\n" + hardness)
    (desk / "my_molecules.smi").write_text(
        "CCO ethanol\nc1ccccc1 benzene\nCC(=O)[O-].[Na+] salt\nC[C@H](N)C(=O)O alanine\n"
    )
    made = [Molecule.from_smiles(smiles, seed=1).to_sdf() for smiles in ("CCO", "c1ccccc1", "C[C@H](N)C(=O)O")]
    (desk / "my_molecules.sdf").write_text("".join(made))
    Molecule.from_smiles("c1ccoc1", seed=1).to_sdf(desk / "core.sdf")
    pyridine, thiophene = (Molecule.from_smiles(smiles, seed=1) for smiles in ("c1ccncc1", "c1ccsc1"))
    apart = replace(thiophene, positions=thiophene.positions + np.array([8.0, 0.0, 0.0]))
    both = Chem.CombineMols(pyridine.to_rdkit(), apart.to_rdkit())
    (desk / "two_fragments.sdf").write_text(Chem.MolToMolBlock(both) + "$$$$\n")
    (desk / "measured.xy").write_text(pattern_of_rutile())
    energies = {"Sr": -1.68, "Ti": -7.8, "O": -4.95, "SrO": -12.2, "TiO2": -27.0, "SrTiO3": -40.1}
    entries = [ComputedEntry(formula, energy, entry_id=formula).as_dict() for formula, energy in energies.items()]
    (desk / "entries.json").write_text(json.dumps(entries))
    (desk / "configs").symlink_to(ROOT / "configs")
    return desk


def run(command: list[str], desk: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "UNIGEN_HOME": str(desk / "home"), "PATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=desk, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def test_there_is_something_to_run():
    assert len([command for command in ALL if command[0] == "bash"]) >= 25
    assert len([command for command in ALL if command[0] != "bash"]) >= 3
    assert set(MADE) == set(DOCUMENTS)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_commands_run_in_order(document, desk):
    for command in commands(DOCUMENTS[document]):
        if command[-1] not in THAT_FETCH:
            run(command, desk)
    for made in MADE[document]:
        assert (desk / made).exists()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_between_documents_lead_somewhere(document):
    folder = (ROOT / document).parent
    prose = re.sub(r"```.*?```|`[^`]*`", "", DOCUMENTS[document], flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#:]+)\)", prose)
    assert [target for target in targets if not (folder / target).exists()] == []


@pytest.mark.parametrize("command", THAT_FETCH)
def test_commands_that_fetch_data_are_understood(command, desk):
    """Fetching takes minutes, so only their spelling is held here; the recipe has its own test."""
    words = command.split()
    options = {word for word in words if word.startswith("--")}
    said = subprocess.run(
        [str(Path(sys.executable).parent / "unigen"), *words[1:3], "--help"],
        cwd=desk,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    assert all(option in said for option in options)


def test_the_tree_names_what_there_is():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("unigen/\n", 1)[1].split("```", 1)[0]
    rooms = {line.split()[0].rstrip("/"): line for line in tree.splitlines() if line.startswith("  ")}
    there = {p.name for p in (ROOT / "unigen").iterdir() if p.name not in ("__init__.py", "__pycache__", "published")}
    assert set(rooms) | {"shapes.py", "errors.py"} == there | {"shapes.py", "errors.py"}
    for room, line in rooms.items():
        named = set(re.findall(r"(\w+)/", line)) - {room}
        inside = {p.name for p in (ROOT / "unigen" / room).glob("*/") if (p / "__init__.py").exists()}
        assert named == inside, room
