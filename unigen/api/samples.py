"""Samples: what `unigen.generate` and the functions after it give, to look at, to count, to put into a table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from unigen.cards import Kind
from unigen.crystals.crystal import Crystal
from unigen.data.readers.record import Row as ReadRow
from unigen.errors import UserError
from unigen.models.generator import Sample
from unigen.molecules.ensemble import is_left_out
from unigen.molecules.molecule import Molecule
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.folder import Row, file_names
from unigen.runs.formats import read_formats, write_structure_files
from unigen.runs.molecule_files import MoleculeFolder
from unigen.runs.sample_table import sample_columns

if TYPE_CHECKING:
    import pandas as pd

_SHOWN = 5
"""Samples in the text of many: a glance, not a table."""


class Samples(Sequence[Sample[Any, Any]]):
    """Samples in their order, failures among them; a notebook shows them as pictures to turn.

    What is a fact is a property, what computes or makes something is a method: so it is of all our objects.

    Args:
        samples: each with its structure or the reason why there is none.
        folder: the run folder that they stand in, where there is one.

    Example:
        >>> from unigen import generate
        >>> samples = generate("SrTiO3", z=1, n=2)
        >>> samples[0].structure.formula, len(samples.failed)
        ('SrTiO3', 0)
        >>> samples.to_dataframe()["space_group"].tolist()[0]
        'Pm-3m'
    """

    def __init__(self, samples: Iterable[Sample[Any, Any]], folder: Path | None = None) -> None:
        self._samples, self.folder = tuple(samples), folder

    @overload
    def __getitem__(self, place: int) -> Sample[Any, Any]: ...
    @overload
    def __getitem__(self, place: slice) -> Samples: ...
    def __getitem__(self, place: int | slice) -> Sample[Any, Any] | Samples:
        if isinstance(place, slice):
            return Samples(self._samples[place], self.folder)
        return self._samples[place]

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample[Any, Any]]:
        return iter(self._samples)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def kind(self) -> Kind:
        """What they are."""
        return "molecules" if any(isinstance(each.request, MoleculeRequest) for each in self) else "crystals"

    @property
    def structures(self) -> list[Any]:
        """The crystals or molecules that were made, in order."""
        return [sample.structure for sample in self if sample.structure is not None]

    @property
    def made(self) -> Samples:
        """The samples that have a structure."""
        return Samples((sample for sample in self if sample.structure is not None), self.folder)

    @property
    def failed(self) -> Samples:
        """The samples that have none, each with its reason, but those that were left out."""
        lost = (sample for sample in self if sample.structure is None and not is_left_out(sample.facts))
        return Samples(lost, self.folder)

    @property
    def left_out(self) -> Samples:
        """Conformers that an ensemble does not hold: too near to a lower one, or too high; each with its reason."""
        return Samples((sample for sample in self if is_left_out(sample.facts)), self.folder)

    def rows(self) -> list[Row]:
        """A journal line a sample, as a run folder has them."""
        folder = MoleculeFolder(Path()) if self.kind == "molecules" else CrystalFolder(Path())
        return [folder.row_of(sample) for sample in self]

    def to_dataframe(self) -> pd.DataFrame:
        """A row a sample: what it is, what ranked it, what was computed of it, why it failed; ``structure`` last."""
        import pandas as pd

        rows = [sample_columns(row, sample.facts) for row, sample in zip(self.rows(), self, strict=True)]
        frame = pd.DataFrame(rows)
        for name in ("reason", "prototype", "network", "not_molecular"):  # words that most samples lack
            if name in frame:
                frame[name] = frame[name].fillna("")
        # by hand: pandas would look into a structure, which has a length
        frame["structure"] = pd.Series([sample.structure for sample in self], dtype=object, index=frame.index)
        return frame

    def write(self, folder: str | Path, format: str | Sequence[str] = "cif") -> list[Path]:  # noqa: A002 - the command line's word
        """Write a file a structure, named as in a run folder; returns what was written.

        Args:
            folder: made if need be; each format has a folder in it.
            format: of crystals ``cif``, ``cif-p1``, ``poscar``, ``vasp`` (inputs), ``extxyz``; of molecules ``sdf``.

        Raises:
            UserError: nothing to write, a format that these structures do not have, the disk is full.
        """
        folder, made = Path(folder), self.made
        if not made:
            raise UserError("no structure to write", got=repr(self))
        named = list(zip(file_names(made.rows()), made.structures, strict=True))
        folder.mkdir(parents=True, exist_ok=True)
        if self.kind == "molecules":
            if format not in ("cif", "sdf"):
                raise UserError("format: not one of molecules", got=format, wanted="sdf")
            for name, molecule in named:
                molecule.to_sdf(folder / f"{name}.sdf", name)
            return [folder / f"{name}.sdf" for name, _ in named]
        formats = read_formats(format)
        write_structure_files(folder, formats, named)
        written = [each for form in formats if form != "extxyz" for each in sorted((folder / form).iterdir())]
        if "extxyz" in formats:
            frames = folder / "samples.extxyz"
            frames.write_text("".join(crystal.to_extxyz() for _, crystal in named), encoding="utf-8")
            written.append(frames)
        return written

    def __repr__(self) -> str:
        made, left_out, failed = self.made, self.left_out, self.failed
        noun = self.kind.removesuffix("s") if len(made) == 1 else self.kind
        lost = f", {len(left_out)} left out" if left_out else ""
        lost += f", {len(failed)} failed (the first: {failed[0].reason})" if failed else ""
        shown = ", ".join(repr(sample) for sample in self[:_SHOWN])
        more = ", ..." if len(self) > _SHOWN else ""
        return f"Samples({len(made)} {noun}{lost}: {shown}{more})"

    def _repr_html_(self) -> str:
        from unigen.report.notebook import samples_html

        return samples_html(list(self), self.kind)


def request_of_structure(structure: Crystal | Molecule | None, name: str) -> CrystalRequest | MoleculeRequest:
    """The request that a structure from elsewhere answers: its own composition, or nothing in particular."""
    if isinstance(structure, Molecule):
        return MoleculeRequest(id=name)
    return CrystalRequest(formula=None if structure is None else structure.reduced_formula, id=name)


def row_of_sample(sample: Sample[Any, Any]) -> ReadRow[Any]:
    """As the sample's line in a run folder would be read."""
    request = sample.request
    name = request.id or request.formula or "de_novo"
    info = {"id": name, "index": sample.index, "seed": sample.seed, "score": sample.score}
    info |= {"request": request.to_dict()} | ({"template": sample.template} if sample.template else {})
    return ReadRow(name, sample.structure, sample.reason, info=info)
