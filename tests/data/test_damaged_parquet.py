"""A Parquet file that was damaged anywhere in its footer is read or refused; it never ends the process.

Arrow throws at some damage where Python cannot catch it. So the damage is done in a process of its own.
"""

from __future__ import annotations

import sys

from tests.crystals.real_crystals import prototypes
from tests.processes import finished
from unigen.data.build import build_dataset

EVERY = 3
"""Bytes; the footer of a small store has some two thousand, and a byte out of three reaches each of its facts."""

DAMAGE = f"""
import sys
from pathlib import Path
from unigen.data.crystal_store import open_crystals
from unigen.errors import UserError

whole, damaged = Path(sys.argv[1]), Path(sys.argv[2])
content = whole.read_bytes()
length = int.from_bytes(content[-8:-4], "little")
read = refused = 0
for place in range(len(content) - 8 - length, len(content) - 8, {EVERY}):
    for change in (1, 0x80):
        damaged.write_bytes(content[:place] + bytes([content[place] ^ change]) + content[place + 1 :])
        try:
            open_crystals(damaged)
            read += 1
        except UserError:
            refused += 1
print(read, refused)
"""


def test_damage_of_a_footer_is_read_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIGEN_HOME", str(tmp_path / "home"))
    for index, crystal in enumerate(prototypes(6)):
        crystal.to_cif(tmp_path / f"{index}.cif")
    whole = build_dataset("small", (str(tmp_path),), workers=1).path
    done = finished([sys.executable, "-c", DAMAGE, str(whole), str(tmp_path / "damaged.parquet")])
    assert done.returncode == 0, done.stderr
    read, refused = map(int, done.stdout.split())
    assert read > 10
    assert refused > 100
