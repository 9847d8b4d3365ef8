"""The files of structures that a folder of results holds beside its journal, in the formats asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from unigen.crystals.cif_writer import SYMPREC
from unigen.crystals.crystal import Crystal
from unigen.disk import durable_together, writing
from unigen.errors import UserError
from unigen.parallel import Workers

FORMATS = {
    "cif": "conventional cell with its space group",
    "cif-p1": "the cell as it is, in P1",
    "poscar": "VASP 5, direct coordinates",
    "vasp": "a folder of inputs each: MPRelaxSet of pymatgen",
    "extxyz": "one file of all",
}
"""Words of ``--format``, and what each writes; ``extxyz`` is always there, since a folder is read again by it."""

DEFAULT = ("cif", "extxyz")

_ENDINGS = {"cif": ".cif", "cif-p1": ".cif", "poscar": ".vasp"}


def read_formats(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """Formats from ``"cif,poscar"`` or a list, in whatever case; `DEFAULT` where none are given.

    Raises:
        UserError: none, or one that is not written.
    """
    if given is None:
        return DEFAULT
    words = given.replace(";", ",").split(",") if isinstance(given, str) else given
    formats = tuple(dict.fromkeys(word.strip().lower() for word in words if word.strip()))
    unknown = [word for word in formats if word not in FORMATS]
    if unknown or not formats:
        got = unknown[0] if unknown else None
        raise UserError("format: not one that is written", got=got, wanted=", ".join(FORMATS))
    return formats


def write_structure_files(
    folder: Path,
    formats: Iterable[str],
    named: Sequence[tuple[str, Crystal]],
    symprec: float = SYMPREC,
    *,
    keep: bool = False,
    workers: Workers | None = None,
) -> None:
    """Write a file (or a folder of VASP inputs) a structure into ``cif/``, ``cif-p1/``, ``poscar/``, ``vasp/``.

    Args:
        folder: of the results.
        formats: words of `FORMATS`.
        named: stems of the files, and their crystals.
        symprec: Angstrom, of the space groups of the CIFs.
        keep: what is there is left as it is: of a run, where a name stands for one structure.
        workers: who makes the CIFs (some 3 ms each); None: this process.

    Raises:
        UserError: the disk is full.
    """
    from unigen.energies.vasp_inputs import FILES, write_vasp_inputs

    for form in formats:
        if form == "extxyz":
            continue
        with writing(folder), durable_together() as begin:
            (folder / form).mkdir(exist_ok=True)
            targets = [(folder / form / f"{stem}{_ENDINGS.get(form, '')}", crystal) for stem, crystal in named]
            if form == "vasp":
                for target, crystal in targets:
                    if not (keep and (target / FILES[-1]).exists()):
                        write_vasp_inputs(crystal, target)
                continue
            missing = ((target, crystal) for target, crystal in targets if not (keep and target.exists()))
            text = Crystal.to_poscar if form == "poscar" else partial(_cif, symprec if form == "cif" else None)
            # written here: where the disk is full, it is known which are whole
            for target, made in (workers or Workers(1)).in_order(text, missing, "structure files"):
                begin(target).write_text(made, encoding="utf-8")


def _cif(symprec: float | None, crystal: Crystal) -> str:
    return crystal.to_cif(symprec=symprec)
