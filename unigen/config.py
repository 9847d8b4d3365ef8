"""YAML with ``key.sub=value`` overrides to frozen dataclasses; every mistake is one clear line.

Own code rather than pydantic because training must run where only torch, numpy, scipy, pyarrow, safetensors and
lightning are installed: lightning brings yaml, but not pydantic.
"""

from __future__ import annotations

import dataclasses
import reprlib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from unigen.disk import write_text
from unigen.errors import UserError, did_you_mean
from unigen.parsing import read_whole

T = TypeVar("T")

_LARGEST = 10_000_000
"""Values of a YAML file with every alias written out: a run of 100,000 requests has a million; a hundred bytes of
aliases of aliases stand for more than any memory holds."""

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 80  # a line of a message holds this and what is wrong with it


def load(kind: type[T], path: str | Path, overrides: Sequence[str] = ()) -> T:
    """Read a YAML file into a dataclass.

    Args:
        kind: the frozen dataclass to fill; its annotations are the schema.
        path: the YAML file.
        overrides: ``"model.width=256"``; values are read as YAML.

    Raises:
        UserError: no such file, no YAML, an unknown or missing key, a value of the wrong type; names key and value.
    """
    values = read_yaml(path)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign:
            raise UserError("not an override", got=override, wanted="key.sub=value")
        value = _parse(text, f"override {key}")
        *sections, name = key.split(".")
        section = values
        for section_name in sections:
            section = section.setdefault(section_name, {})
            if not isinstance(section, dict):
                raise UserError(f"{section_name} is no section", where=f"override {override}")
        section[name] = value
    return from_dict(kind, values, where=str(path))


def load_union(kinds: Any, path: str | Path) -> Any:
    """Fill that one of several dataclasses (``A | B``) whose ``kind`` the file names; raises as ``load`` does."""
    values = read_yaml(path)
    return _dataclass(_by_kind(list(get_args(kinds)), values, str(path), ""), values, str(path), "")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML mapping; raises UserError when the file is missing or is none."""
    values = _parse(read_whole(path), str(path))
    if not isinstance(values, dict):
        raise UserError("not a YAML mapping", where=str(path), got=type(values).__name__)
    unnamed = [key for key in values if not isinstance(key, str)]
    if unnamed:
        raise UserError(f"{_shown(unnamed[0])}: a key that is no text", where=str(path))
    return values


def write_yaml(path: str | Path, values: object) -> None:
    """Write a dataclass or mapping as YAML, in field order, completely or not at all."""
    text = yaml.safe_dump(to_plain(values), sort_keys=False, allow_unicode=True, width=120)
    write_text(Path(path), text)


def to_plain(values: object) -> Any:
    """A dataclass or mapping as ``read_yaml`` would give it back: dicts, lists and scalars."""
    is_filled = dataclasses.is_dataclass(values) and not isinstance(values, type)
    return _plain(dataclasses.asdict(values) if is_filled else values)  # type: ignore[call-overload]


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """``{"model": {"width": 64}}`` as ``{"model.width": 64}``."""
    flattened: dict[str, Any] = {}
    for key, value in values.items():
        flattened |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flattened


def check_ranges(config: object, **ranges: tuple[int | float, int | float]) -> None:
    """Check that numbers of a dataclass lie in their ranges; for its ``__post_init__``.

    Args:
        config: the dataclass.
        ranges: the smallest and the largest value by name of a field; of a tuple, of its length. None is always right.

    Raises:
        UserError: a value outside of its range, or NaN.

    Example:
        >>> check_ranges(VectorSettings(steps=0), steps=(1, 10_000))
        Traceback (most recent call last):
        unigen.errors.UserError: steps: out of range; got 0; wanted 1 to 10000
    """
    for name, (low, high) in ranges.items():
        value = getattr(config, name)
        measure = len(value) if isinstance(value, Sequence | Mapping) else value
        if measure is not None and not low <= measure <= high:  # not (...): NaN is in no range
            noun = f"{name}: its length is out of range" if measure is not value else f"{name}: out of range"
            raise UserError(noun, got=measure, wanted=f"{low:.10g} to {high:.10g}")


def from_dict(kind: type[T], values: dict[str, Any], where: str) -> T:
    """Fill a dataclass from plain values, checking every key and type."""
    return _dataclass(kind, values, where, "")


def _parse(text: str, where: str) -> Any:
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        if _written_out(node, {}) > _LARGEST:
            raise UserError("not valid YAML: aliases stand for more than a file can hold", where=where)
        return loader.construct_document(node)
    except RecursionError as error:
        raise UserError("not valid YAML: nested too deeply", where=where) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a day that no month has, an integer of 5,000 digits
        if isinstance(error, UserError):
            raise
        raise UserError("not valid YAML", where=where, got=error) from error


def _written_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node has, those behind aliases counted each time; too many where it holds itself."""
    if isinstance(node, yaml.ScalarNode):
        return 1
    if id(node) not in known:
        known[id(node)] = _LARGEST + 1  # until it is counted: who meets it before is inside of it
        parts = node.value if isinstance(node, yaml.SequenceNode) else [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_written_out(part, known) for part in parts)
    return known[id(node)]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    return value


def _dataclass(kind: type[T], values: Any, where: str, key: str) -> T:
    if not isinstance(values, dict):
        raise _wrong(where, key, values, "a section")
    hints = get_type_hints(kind)
    fields = {f.name: f for f in dataclasses.fields(kind) if f.init}  # type: ignore[arg-type]
    prefix = f"{key}." if key else ""
    for name, value in values.items():
        if name not in fields:
            raise UserError(
                f"{prefix}{name}: unknown key (got {_shown(value)})", where=where, wanted=f"one of {sorted(fields)}"
            )
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise UserError(f"{prefix}{name}: missing", where=where)
    filled = {name: _convert(hints[name], value, where, prefix + name) for name, value in values.items()}
    try:
        return kind(**filled)
    except UserError as error:  # of what the class itself checks, which does not know where it stands
        raise UserError(f"{prefix}{error}", where=where) from error


def _convert(hint: Any, value: Any, where: str, key: str) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _optional(hint, value, where, key)
    if origin is Literal:
        if value not in get_args(hint):
            raise _wrong(where, key, value, " or ".join(map(str, get_args(hint))))
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, key, value, "a list")
        return tuple(_convert(get_args(hint)[0], inner, where, f"{key}[{i}]") for i, inner in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, key, value, "a section")
        return {str(name): _convert(get_args(hint)[1], inner, where, f"{key}.{name}") for name, inner in value.items()}
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, value, where, key)  # type: ignore[arg-type]
    return _scalar(hint, value, where, key)


def _optional(hint: Any, value: Any, where: str, key: str) -> Any:
    inner = [option for option in get_args(hint) if option is not type(None)]
    if value is None and len(inner) < len(get_args(hint)):
        return None
    if len(inner) == 1:
        return _convert(inner[0], value, where, key)
    if str in inner:
        if isinstance(value, str):
            return value  # a name in the place of a section: who fills the class knows which there are
        if not isinstance(value, dict):
            raise _wrong(where, key, value, "a name, or a section with its kind")
        inner.remove(str)
    return _dataclass(_by_kind(inner, value, where, key), value, where, key)


def _by_kind(options: list[Any], value: Any, where: str, key: str) -> Any:
    """The dataclass that a section means by its ``kind``."""
    kinds = {name: option for option in options for name in get_args(get_type_hints(option)["kind"])}
    kind = value.get("kind") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in kinds:
        raise UserError(
            f"{(key + '.') * bool(key)}kind: unknown kind (got {_shown(kind)})",
            where=where,
            wanted=" or ".join(sorted(kinds)),
            next_step=did_you_mean(kind, kinds) if isinstance(kind, str) else "",
        )
    return kinds[kind]


def _scalar(hint: Any, value: Any, where: str, key: str) -> Any:
    if hint is float and isinstance(value, str):  # YAML 1.1 reads 3e-4 as text
        try:
            return float(value)
        except ValueError:
            raise _wrong(where, key, value, "a number") from None
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise _wrong(where, key, value, "a number") from None
    # By type, not by isinstance: True is an int in Python and must not pass for the number 1.
    if type(value) is not hint:
        raise _wrong(
            where, key, value, {int: "a whole number", float: "a number", bool: "true or false"}.get(hint, "text")
        )
    return value


def _wrong(where: str, key: str, value: Any, wanted: str) -> UserError:
    return UserError(f"{key}: wrong type or value (got {_shown(value)})", where=where, wanted=wanted)


def _shown(value: Any) -> str:
    """A value for messages, however large it is."""
    try:
        return _REPR.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return "a number of thousands of digits"
