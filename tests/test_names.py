"""What we publish names no machine of ours: no absolute home or work folder, no package registry's host."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Written in pieces, so that this file is not among its own findings. A path counts from the start of a word on:
# such a folder inside a longer path or an address is somebody else's name.
FOLDERS = ("work", "tmp", "root", "home", "opt", "mnt")
MACHINE_PATH = re.compile(r"(?<![\w./*}\]-])/(" + "|".join(FOLDERS) + r")/\w")
REGISTRY_HOST = re.compile(
    r"pypi\." + r"org|python" + r"hosted\.org|test\.py" + r"pi|conda\." + r"anaconda|down" + r"load\.pytorch\.org"
)
INDEX_OPTION = re.compile("--(extra-)?ind" + "ex-url|--find" + "-links")

PATTERNS = {"a machine's path": MACHINE_PATH, "a registry's host": REGISTRY_HOST, "an index option": INDEX_OPTION}


def _tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: there is no list of tracked files")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _text(path: Path) -> str:
    content = path.read_bytes()
    return "" if b"\0" in content else content.decode("utf-8", errors="replace")


@pytest.mark.parametrize("kind", PATTERNS)
def test_no_tracked_file_names_our_machines(kind):
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"
        for path in _tracked()
        for number, line in enumerate(_text(path).splitlines(), start=1)
        if PATTERNS[kind].search(line)
    ]
    assert not found, f"{kind} in:\n" + "\n".join(found)


def test_constraints_pin_versions_and_nothing_else():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9A-Za-z.]+", line), f"{line}: a name and a public version, no more"
        assert not line.lower().startswith(("nvidia", "triton", "cuda")), f"{line}: only on some platforms"


def test_guard_sees_what_it_is_to_see():
    assert MACHINE_PATH.search("see /" + "work/main")
    assert not MACHINE_PATH.search("https://example.org/home/page")
    assert REGISTRY_HOST.search("https://py" + "pi.org/simple")
