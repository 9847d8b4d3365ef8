"""Where a built dataset lies and how its Parquet file is opened: the same for crystals and for molecules."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unigen.cards import KINDS, Kind
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS, most_unpacked, one_line


def datasets_home() -> Path:
    """Where datasets are built: ``datasets`` in `unigen_home`; raises UserError as it does."""
    return unigen_home() / "datasets"


def unigen_home() -> Path:
    """``$UNIGEN_HOME``, by default ``unigen`` in ``$XDG_CACHE_HOME``, which is by default ``~/.cache``.

    Raises:
        UserError: the home of the user that this begins with is not known.
    """
    home = os.environ.get("UNIGEN_HOME")
    cache = os.environ.get("XDG_CACHE_HOME") or ""
    # by the rule of freedesktop.org a path that is not absolute is as good as none
    path = home or str(Path(cache if Path(cache).is_absolute() else "~/.cache") / "unigen")
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            "no home directory is known", where=f"UNIGEN_HOME={path}", next_step="set UNIGEN_HOME to a folder"
        ) from error


def check_dataset_name(name: str) -> None:
    """Raises UserError for what cannot be the name of a dataset: a path, a name with a split, nothing."""
    if not name or "/" in name or ":" in name or name.startswith("."):
        raise UserError("not a dataset name", got=repr(name), wanted="a plain word such as my-crystals")


def built_kind(name: str) -> Kind | None:
    """What a dataset of this name holds; None when none is built."""
    return next((kind for kind in KINDS if (datasets_home() / name / f"{kind}.parquet").exists()), None)


def name_and_split(name: str) -> tuple[str, str | None]:
    """Dataset and split of ``"mp-20:test"``; of a path or a plain name, itself and None."""
    if ":" in name and not Path(name).exists():
        dataset, split = name.rsplit(":", 1)
        return dataset, split
    return name, None


def dataset_path(name_or_path: str | Path, kind: Kind = "crystals") -> Path:
    """The Parquet file of a built dataset, by name or by path.

    Raises:
        UserError: it is not there, or holds the other kind of structure.
    """
    path = Path(name_or_path)
    if path.suffix == ".parquet":
        if not path.exists():
            raise UserError("no such dataset file", where=str(path))
        return path
    built = datasets_home() / str(name_or_path) / f"{kind}.parquet"
    if built.exists():
        return built
    other = built_kind(str(name_or_path))
    if other is not None:
        raise UserError(f"dataset {str(name_or_path)!r} holds {other}", wanted=kind)
    raise UserError(
        f"dataset {str(name_or_path)!r} is not built",
        wanted=str(built),
        next_step=f"run: unigen data build {name_or_path} (names: unigen data list)",
    )


def resolve_dataset(name: str | Path, kind: Kind = "crystals") -> tuple[Path, str | None]:
    """Parquet file and split of ``"mp-20:test"``, ``"mp-20"`` or a path; raises UserError as `dataset_path`."""
    dataset, split = name_and_split(str(name))
    return dataset_path(dataset, kind), split


def open_table(
    path: Path,
    columns: tuple[str, ...],
    noun: str = "a readable Parquet file",
    next_step: str = "build the dataset again",
) -> pa.Table:
    """A Parquet file by memory map.

    Args:
        path: of the file.
        columns: those that it must have.
        noun: what it should be, for messages.
        next_step: how it is made, for messages.

    Raises:
        UserError: it is not readable, would fill the memory, lacks a column, or has two of one name.
    """
    try:
        _check_size(path)
        # not pq.read_table, which looks for a dataset of many files and brings pandas for it
        with pq.ParquetFile(path, memory_map=True) as file:
            table = file.read().combine_chunks()
    except UserError:
        raise
    except (pa.ArrowException, *PARSER_ERRORS) as error:  # a broken footer ends in whatever Arrow or Python has
        raise UserError(f"not {noun}", where=str(path), got=one_line(error), next_step=next_step) from error
    missing = [column for column in columns if column not in table.column_names]
    if missing:
        raise UserError(
            f"not {noun}: columns missing: {', '.join(missing)}",
            where=str(path),
            wanted=", ".join(columns),
            next_step=next_step,
        )
    twice = [column for column in table.column_names if table.column_names.count(column) > 1]
    if twice:
        raise UserError(f"not {noun}: two columns are called {twice[0]}", where=str(path), next_step=next_step)
    return table


def _check_size(path: Path) -> None:
    """Raises UserError when a file says that it unpacks to far more than structures do."""
    with pq.ParquetFile(path, memory_map=True) as file:
        # Arrow raises here what is wrong with the facts of a column; asked for them below, it would end the process
        next(file.iter_batches(batch_size=1), None)
        metadata = file.metadata
    chunks = (metadata.row_group(group) for group in range(metadata.num_row_groups))
    parts = [chunk.column(index) for chunk in chunks for index in range(chunk.num_columns)]
    # a value is eight bytes at most, and of a text as many as its pages have
    size = sum(max(8 * part.num_values, part.total_uncompressed_size) for part in parts)
    size = max(size, 8 * metadata.num_rows)
    if size > most_unpacked(path):
        raise UserError(
            "unpacks to far more than structures do",
            where=str(path),
            got=f"{size:,} bytes of {path.stat().st_size:,}",
            next_step="build the dataset again",
        )
