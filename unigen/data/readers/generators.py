"""What other generators write: a zip of CIFs (MatterGen), tensors of many samples (CDVAE, DiffCSP, FlowMM).

MatterGen's ``generated_crystals_cif.zip`` holds ``gen_0.cif``, ``gen_1.cif``, ... DiffCSP's ``eval_*.pt`` holds
``num_atoms (samples, crystals)``, ``frac_coords (samples, sites, 3)``, ``atom_types (samples, sites)``, ``lengths`` and
``angles (samples, crystals, 3)`` in Angstrom and degrees, the first axis left out where each crystal has one sample.
"""

from __future__ import annotations

import argparse
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from unigen.data.readers.record import CrystalArrays, Record
from unigen.data.readers.text import stem
from unigen.errors import UserError
from unigen.geometry.lattice import lattice_matrix
from unigen.parsing import PARSER_ERRORS, ZIP_ERRORS, decode, most_unpacked, one_line
from unigen.shapes import Float

_ARRAYS = {"num_atoms": (), "frac_coords": (3,), "atom_types": (), "lengths": (3,), "angles": (3,)}
"""Tensors of DiffCSP's files, and their shapes behind the axis of crystals or sites."""

_CONVERT = (
    "keep the tensors alone: python -c \"import torch; d = torch.load('IN.pt', weights_only=False); "
    f"torch.save({{k: d[k] for k in {tuple(_ARRAYS)}}}, 'OUT.pt')\""
)


def read_zip_of_cifs(path: Path) -> Iterator[Record]:
    """An entry a CIF of the archive, in its order.

    Raises:
        UserError: no zip, none of CIFs, or one that unpacks to far more than structures do.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for each in _cifs_of(archive, path):
                name, where = PurePosixPath(each.filename).stem, f"{path} {each.filename}"
                yield Record(name, "cif", decode(archive.read(each)), where)
    except UserError:
        raise
    except ZIP_ERRORS as error:
        raise UserError("not a readable zip", where=str(path), got=one_line(error)) from error


def _cifs_of(archive: zipfile.ZipFile, path: Path) -> list[zipfile.ZipInfo]:
    members = [each for each in archive.infolist() if each.filename.lower().endswith(".cif")]
    if not members:
        found = sorted({PurePosixPath(each.filename).suffix for each in archive.infolist()})
        raise UserError("no CIF in this archive", where=str(path), got=", ".join(found) or "nothing")
    unpacked = sum(each.file_size for each in members)
    if unpacked > most_unpacked(path):
        got = f"{unpacked >> 20:,} MiB of {path.stat().st_size:,} bytes"
        raise UserError("unpacks to far more than structures do", where=str(path), got=got)
    return members


def read_diffcsp_tensors(path: Path) -> Iterator[Record]:
    """An entry a sample: ``id`` the place of the crystal, ``index`` which of its samples. Nothing is unpickled.

    Raises:
        UserError: not such a file, or one with other objects in it, which only unpickling could read.
    """
    import torch

    try:
        # the one object that is no tensor in what DiffCSP's own scripts write: a bag of settings, which runs nothing
        with torch.serialization.safe_globals([argparse.Namespace]):
            content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (torch.serialization.pickle.UnpicklingError, struct.error, *PARSER_ERRORS) as error:
        raise UserError("not tensors alone", where=str(path), got=one_line(error)[:80], next_step=_CONVERT) from error
    arrays = _arrays(content, path)
    for sample, counts in enumerate(arrays["num_atoms"]):
        ends = np.cumsum(counts)
        lattices = lattice_matrix(np.column_stack([arrays["lengths"][sample], np.radians(arrays["angles"][sample])]))
        for crystal, (start, end) in enumerate(zip(ends - counts, ends, strict=True)):
            name, where = f"{stem(path)}-{crystal}", f"{path} crystal {crystal} sample {sample}"
            info: dict[str, object] = {"id": name, "index": sample}
            angles = arrays["angles"][sample, crystal]
            if not _closes(angles):
                yield Record(name, "bad", f"angles that close no cell: {angles.round(2).tolist()}", where, info=info)
                continue
            numbers, coords = arrays["atom_types"][sample, start:end], arrays["frac_coords"][sample, start:end]
            yield Record(name, "arrays", CrystalArrays(numbers, coords, lattices[crystal]), where, info=info)


def _closes(degrees: Float[np.ndarray, "3"]) -> bool:
    """Whether three angles are those of a cell; NaN closes none."""
    cosines = np.cos(np.radians(degrees))
    return bool(1.0 - (cosines**2).sum() + 2.0 * cosines.prod() > 0)


def _arrays(content: Any, path: Path) -> dict[str, np.ndarray]:
    """The tensors, samples along their first axis, checked."""
    import torch

    given = content if isinstance(content, dict) else {}
    missing = [name for name in _ARRAYS if not isinstance(given.get(name), torch.Tensor)]
    if missing:
        got = ", ".join(map(str, list(given)[:8])) or type(content).__name__
        raise UserError(f"no tensor {missing[0]!r}", where=str(path), got=got, wanted=", ".join(_ARRAYS))
    arrays = {}
    for name, rest in _ARRAYS.items():
        array = given[name].detach().to(torch.float64 if rest else torch.int64).numpy()
        array = array if array.ndim == 2 + len(rest) else array[None]
        if array.ndim != 2 + len(rest) or array.shape[2:] != rest:
            raise UserError(f"{name}: a tensor of another shape", where=str(path), got=tuple(given[name].shape))
        arrays[name] = array
    counts = arrays["num_atoms"]
    sites = counts.sum(axis=1)
    wanted = {
        "frac_coords": (len(counts), sites[0]),
        "atom_types": (len(counts), sites[0]),
        "lengths": counts.shape,
        "angles": counts.shape,
    }
    for name, shape in wanted.items():
        if (counts < 1).any() or (sites != sites[0]).any() or arrays[name].shape[:2] != shape:
            got = f"{arrays[name].shape[:2]} beside {counts.shape} crystals of {sites[0]} sites"
            raise UserError(f"{name}: disagrees with num_atoms", where=str(path), got=got)
    return arrays
