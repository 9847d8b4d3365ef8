"""Space groups of many crystals, each looked for once: most of the time of an evaluation went into this.

Those of a built dataset are kept beside it, in ``space-groups.npz``, by the digits of each crystal: who evaluates
against one reference again and again waits for its symmetry once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import numpy as np

from unigen.crystals.crystal import Crystal
from unigen.disk import durable
from unigen.errors import UserError
from unigen.journal import digest
from unigen.parallel import Workers
from unigen.parsing import ZIP_ERRORS
from unigen.shapes import Int

FILE = "space-groups.npz"

Key = tuple[str, float]
"""The digest of a crystal, see `_key`, and a tolerance in Angstrom."""


class SpaceGroups:
    """International numbers by crystal and tolerance.

    Args:
        folder: of a built dataset, where they are kept; None keeps them for as long as the object lives.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._known: dict[Key, int] = {} if folder is None else _read(folder / FILE)

    def tell(self, crystal: Crystal, symprec: float, number: int) -> None:
        """Remember what was found elsewhere."""
        self._known[_key(crystal), symprec] = number

    def find(
        self, crystals: Sequence[Crystal], symprecs: Sequence[float], workers: Workers, text: str
    ) -> Int[np.ndarray, "crystals tolerances"]:
        """The numbers of the space groups of crystals, 1 where spglib finds none.

        Args:
            crystals: in any cell.
            symprecs: tolerances, Angstrom.
            workers: what is not known yet is found by these (some 4 ms a crystal and tolerance).
            text: of the progress bar.
        """
        keys = [_key(crystal) for crystal in crystals]
        by_key = dict(zip(keys, crystals, strict=True))
        missing = {key: tuple(each for each in symprecs if (key, each) not in self._known) for key in by_key}
        wanted = {key: tolerances for key, tolerances in missing.items() if tolerances}
        found = workers.map(_numbers, [(by_key[key], tolerances) for key, tolerances in wanted.items()], text)
        for (key, tolerances), numbers in zip(wanted.items(), found, strict=True):
            self._known |= {(key, symprec): number for symprec, number in zip(tolerances, numbers, strict=True)}
        if wanted and self.folder is not None:
            _write(self.folder / FILE, self._known)
        groups = [[self._known[key, symprec] for symprec in symprecs] for key in keys]
        return np.array(groups, dtype=np.int64).reshape(-1, len(symprecs))


def _numbers(task: tuple[Crystal, Iterable[float]]) -> list[int]:
    crystal, symprecs = task
    return [crystal.space_group(symprec).number for symprec in symprecs]


def _key(crystal: Crystal) -> str:
    return digest(crystal.numbers.astype(np.int64), crystal.frac_coords.astype(np.float64), crystal.lattice)


def _read(path: Path) -> dict[Key, int]:
    """What is kept by this version of spglib; nothing where that is not to be read: it is only found once more."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            if str(file["spglib"]) != version("spglib"):
                return {}
            digits, symprecs, numbers = file["digits"], file["symprecs"], file["numbers"]
            keys = zip(digits.astype(str).tolist(), symprecs.tolist(), strict=True)
            known = dict(zip(keys, numbers.tolist(), strict=True))
    except (OSError, ValueError, KeyError, *ZIP_ERRORS):
        return {}
    return known if all(1 <= number <= 230 for number in known.values()) else {}


def _write(path: Path, known: dict[Key, int]) -> None:
    digits = np.array([key for key, _ in known], dtype="S32")
    symprecs = np.array([symprec for _, symprec in known])
    numbers = np.array([*known.values()], dtype=np.uint8)
    # a dataset that nobody may write to is evaluated against all the same
    with suppress(UserError, OSError), durable(path) as partial_path, partial_path.open("wb") as file:
        np.savez(file, spglib=version("spglib"), digits=digits, symprecs=symprecs, numbers=numbers)
