"""The house holds its own rules: imports one way and without circles, heavy libraries behind their doors.

Which rooms stand above which is said in ``pyproject.toml``, where import-linter reads it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import textwrap
from collections import Counter
from functools import cache
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from tests.processes import finished
from unigen.models.families import FAMILIES

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "unigen"

# Where each heavy or chemical library may be imported, as the start of a path inside the package.
DOORS = {
    "lightning": ("train/",),
    "pytorch_lightning": ("train/",),
    "typer": ("cli/",),
    "yaml": ("config.py", "cards.py"),
    "pydantic": ("config.py", "cards.py"),
    "triton": ("nn/kernels/",),
    "torch_geometric": ("nn/encoders/", "energies/"),
    "e3nn": ("nn/encoders/",),
    "vesin": ("geometry/",),
    "jinja2": ("report/",),
    "matplotlib": ("report/figures/", "report/pictures/"),
    "pymatgen": ("crystals/", "data/", "energies/", "eval/crystals/"),
    "ase": ("crystals/", "molecules/", "data/", "energies/", "report/pictures/"),
    "rdkit": ("molecules/", "eval/molecules/"),
    "gemmi": ("crystals/",),
    "pickle": (),
    "marshal": (),
    "shelve": (),
    "dill": (),
}

MADE_OF = {"joint": ("words", "smiles")}
"""Families that are made of others, and may look inside these."""

MOST_FILES = 20
"""A folder of more is divided: nobody keeps more names in mind."""

NO_NOUN = {"utils", "util", "common", "core", "misc", "helpers", "helper", "globals", "tools", "base"}

# What training and sampling on a bare node may need, with all that these themselves depend on.
BARE = ("torch", "numpy", "scipy", "pyarrow", "safetensors", "lightning")

MODULES = sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _imports(path: Path) -> list[tuple[int, str]]:
    """Every module imported anywhere in the file, late imports too; ``from a import b`` counts as ``a.b``."""
    found = []
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}:{node.lineno}: a relative import"
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_imports_point_one_way_and_in_no_circle(monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.chdir(ROOT)
    failed = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert not failed, capsys.readouterr().out


def test_what_is_inside_a_family_is_known_to_the_list_of_families_alone():
    """Here and not in import-linter, so that a new family is kept apart with no other change."""
    families = {path.name for path in (PACKAGE / "models").iterdir() if (path / "__init__.py").exists()}
    assert families == {family.name for family in FAMILIES}
    wrong = []
    for path in MODULES:
        parts = path.relative_to(PACKAGE).parts
        own = parts[1] if parts[0] == "models" and len(parts) == 3 else ""
        closed = families - {own, *MADE_OF.get(own, ())} if _name(path) != "models/families.py" else set()
        for line, name in _imports(path):
            room = name.split(".")
            if room[:2] == ["unigen", "models"] and room[2:] and room[2] in closed:
                wrong.append(f"{_name(path)}:{line}: {name}")
    assert not wrong


def test_heavy_libraries_stay_behind_their_doors():
    wrong = [
        f"{_name(path)}:{line}: {name} belongs in {doors or 'no file'}"
        for path in MODULES
        for line, name in _imports(path)
        if (doors := DOORS.get(name.split(".")[0])) is not None and not _name(path).startswith(doors)
    ]
    assert not wrong


def test_nothing_loaded_can_run_code():
    wrong = []
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if not isinstance(node, ast.Call):
                continue
            call = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            unsafe = call in {"eval", "exec", "yaml.load", "yaml.unsafe_load"}
            unsafe |= call == "torch.load" and given.get("weights_only") != "True"
            if unsafe or given.get("allow_pickle", "False") != "False":
                wrong.append(f"{_name(path)}:{node.lineno}: {call}")
    assert not wrong


def test_names_are_nouns_and_folders_can_be_overlooked():
    parts = {path: path.relative_to(PACKAGE).with_suffix("").parts for path in MODULES}
    assert not [_name(path) for path in MODULES if NO_NOUN & set(parts[path])], "what has no noun has no home"
    assert not [_name(path) for path in MODULES if len(parts[path]) > 3], "deeper than unigen/<room>/<part>/<noun>.py"
    sizes = Counter(path.parent.relative_to(ROOT).as_posix() for path in MODULES if path.stem != "__init__")
    assert {folder: size for folder, size in sizes.items() if size > MOST_FILES} == {}


def _with_requirements(names: tuple[str, ...]) -> set[str]:
    """The installed distributions these need, all the way down, extras left out."""
    from packaging.requirements import Requirement

    needed: set[str] = set()
    todo = list(names)
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in needed:
            continue
        try:
            requires = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:  # required on another platform only
            continue
        needed.add(name)
        wanted = [Requirement(text) for text in requires]
        todo += [item.name for item in wanted if item.marker is None or item.marker.evaluate({"extra": ""})]
    return needed


@pytest.fixture(scope="module")
def bare_node(tmp_path_factory) -> Path:
    """A site folder that holds BARE, what it requires, and unigen itself: by links, so it costs nothing."""
    site = tmp_path_factory.mktemp("bare")
    for name in _with_requirements(BARE):
        distribution = importlib.metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            link = site / top
            if not link.exists():
                link.symlink_to(distribution.locate_file(top))
    (site / "unigen").symlink_to(PACKAGE)
    return site


def _run_bare(site: Path, code: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(site), "HOME": str(site), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-S", "-c", code]
    return finished(command, environment=environment)


def test_the_bare_node_is_bare(bare_node):
    done = _run_bare(bare_node, "import torch, numpy\nimport pymatgen")
    assert "No module named 'pymatgen'" in done.stderr, done.stderr


def test_training_and_sampling_import_without_the_chemistry_stack(bare_node):
    rooms = ("train", "sample", "models", "tokens", "nn", "geometry", "symmetry", "smiles", "retrieval")
    names = ["unigen", "unigen.data.crystal_store", "unigen.data.molecule_store", "unigen.request"]
    chosen = [path.relative_to(ROOT).with_suffix("").parts for path in MODULES if _room(path) in rooms]
    names += [".".join(parts).removesuffix(".__init__") for parts in chosen]
    # kernels are imported where PyTorch for CUDA brings Triton, encoders by models that have one
    encoders = {
        "unigen.nn.encoders." + name for name in ("message_passing", "equivariant", "pooling", "frame_averaging")
    }
    names = [name for name in names if not name.endswith("_triton") and name not in encoders]
    done = _run_bare(bare_node, f"import importlib\nfor name in {names!r}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr


def test_sampling_imports_no_compiler_and_no_mixer_that_a_model_has_not():
    """Torch's own is imported by what nobody would expect it of, and takes longer than drawing a structure."""
    code = """
        import sys
        from unigen.models.generator import Job
        from unigen.request import CrystalRequest, MoleculeRequest
        from unigen.sample.load import load
        for model, request in (
            ("unigen-crystal-small", CrystalRequest(formula="SrTiO3")), ("unigen-molecule-small", MoleculeRequest())
        ):
            (drawn,) = load(model).draw([Job(request, 0, 0, 0)])
            assert drawn.structure is not None, drawn.reason
        print(*{"torch._dynamo", "torch._inductor", "sympy"} & set(sys.modules))
        mixers = {name for name in sys.modules if name.startswith("unigen.nn.mixers.")}
        print(*mixers & {f"unigen.nn.mixers.{name}" for name in ("ssd", "delta_product", "lightnet", "s5", "para_rnn")})
    """
    done = finished([sys.executable, "-c", textwrap.dedent(code)])
    assert done.returncode == 0, done.stderr
    assert not done.stdout.split()
