"""The house holds its own rules: one-way imports, heavy libraries behind their doors, short files and functions."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.processes import finished

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "unigen"

# From the top of the house to its foundation; a layer may import its own row and every row below.
LAYERS = (
    ("cli", "__main__"),
    ("report",),
    ("runs",),
    ("train", "sample", "eval", "testing"),
    ("models",),
    ("retrieval", "energies"),
    ("nn", "smiles", "data"),
    ("tokens",),
    ("crystals", "molecules"),
    (
        "journal",
        "cards",
        "request",
        "config",
        "symmetry",
        "element_similarity",
        "line_journal",
        "claimed_folder",
        "checksum",
    ),
    ("batch", "geometry", "elements", "disk", "parallel", "device"),
    ("errors", "shapes"),
)
UNTIL = {  # imports that still point up, each with the file it will leave
    ("tokens/collate.py", "retrieval"),
    ("tokens/collate.py", "models"),
    ("crystals/template.py", "tokens"),
    ("models/training_set.py", "train"),
    ("models/joint/items.py", "train"),
    ("runs/generation.py", "report"),
    ("runs/molecule_generation.py", "report"),
}
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}

# Where each heavy or chemical library may be imported, as the start of a path inside the package.
DOORS = {
    "lightning": ("train/",),
    "pytorch_lightning": ("train/",),
    "typer": ("cli/",),
    "yaml": ("config.py", "cards.py"),
    "pydantic": ("config.py", "cards.py"),
    "triton": ("nn/kernels/",),
    "jinja2": ("report/",),
    "matplotlib": ("report/figures/", "report/pictures/"),
    "pymatgen": ("crystals/", "data/", "energies/", "eval/crystals/"),
    "ase": ("crystals/", "molecules/", "data/", "energies/", "report/pictures/"),
    "rdkit": ("molecules/", "eval/molecules/"),
    "pickle": (),
    "marshal": (),
    "shelve": (),
    "dill": (),
}

NO_NOUN = {"utils", "util", "common", "core", "misc", "helpers", "helper", "globals", "tools", "base"}

# What training and sampling on a bare node may need, with all that these themselves depend on.
BARE = ("torch", "numpy", "pyarrow", "safetensors", "lightning")

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


def _layer(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


modules = pytest.mark.parametrize("path", MODULES, ids=_name)


@modules
def test_imports_point_downwards(path):
    if path == PACKAGE / "__init__.py":  # the public API gathers names from everywhere
        return
    layer = _layer(path)
    assert layer in ROW, f"{layer} has no place in LAYERS"
    for line, name in _imports(path):
        parts = name.split(".")
        if parts[0] != "unigen" or len(parts) < 2:
            continue
        assert parts[1] in ROW, f"{_name(path)}:{line}: {name} has no place in LAYERS"
        if (_name(path), parts[1]) in UNTIL:
            continue
        assert ROW[parts[1]] >= ROW[layer], f"{_name(path)}:{line}: {layer} must not import {name}"


@modules
def test_heavy_libraries_stay_behind_their_doors(path):
    for line, name in _imports(path):
        doors = DOORS.get(name.split(".")[0])
        if doors is not None:
            assert _name(path).startswith(doors), f"{_name(path)}:{line}: {name} belongs in {doors or 'no file'}"


@modules
def test_nothing_loaded_can_run_code(path):
    for node in ast.walk(_tree(path)):
        if not isinstance(node, ast.Call):
            continue
        call = ast.unparse(node.func)
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        where = f"{_name(path)}:{node.lineno}: {call}"
        if call == "torch.load":
            assert given.get("weights_only") == "True", f"{where} without weights_only=True"
        assert given.get("allow_pickle", "False") == "False", f"{where} with allow_pickle"
        assert call not in {"eval", "exec", "yaml.load", "yaml.unsafe_load"}, where


@modules
def test_files_are_short(path):
    lines = len(path.read_text().splitlines())
    assert lines <= 300, f"{_name(path)} has {lines} lines: it holds more than one noun"


@modules
def test_functions_are_short(path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            assert lines <= 50, f"{_name(path)}:{node.lineno}: {node.name} has {lines} lines besides its docstring"


@modules
def test_names_are_nouns_and_depth_is_three(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    assert not NO_NOUN & set(parts), f"{_name(path)}: what has no noun has no home"
    assert len(parts) <= 3, f"{_name(path)}: deeper than unigen/<room>/<part>/<noun>.py"


@modules
def test_errors_are_not_swallowed(path):
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = "" if node.type is None else ast.unparse(node.type)
            broad = node.type is None or re.search(r"\b(Base)?Exception\b", caught)
            raises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert not broad or raises, f"{_name(path)}:{node.lineno}: a broad except that does not raise again"


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
    layers = ("train", "sample", "models", "tokens", "nn", "geometry", "symmetry", "smiles", "retrieval")
    names = ["unigen", "unigen.data.crystal_store", "unigen.data.molecule_store", "unigen.request"]
    chosen = [path.relative_to(ROOT).with_suffix("").parts for path in MODULES if _layer(path) in layers]
    names += [".".join(parts).removesuffix(".__init__") for parts in chosen]
    done = _run_bare(bare_node, f"import importlib\nfor name in {names!r}: importlib.import_module(name)")
    assert done.returncode == 0, done.stderr
