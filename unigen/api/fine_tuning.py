"""``finetune``: a bundled model trained further on structures from anywhere."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from unigen.api.samples import Samples
from unigen.api.structures import samples_of
from unigen.disk import write_text
from unigen.errors import UserError
from unigen.parallel import in_notebook
from unigen.runs.fine_tuning import FineTuneResult, FineTuneSettings, fine_tune


def finetune(
    model: str | Path,
    data: Any,
    *,
    out: str | Path = Path("finetuned"),
    property: str | None = None,  # noqa: A002 - the command line's word
    properties: str | Path | Mapping[str, Sequence[float]] | None = None,
    unit: str = "",
    steps: int = 300,
    split_val: float = 0.2,
    seed: int = 0,
    accelerator: Literal["auto", "cpu", "gpu"] = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
) -> FineTuneResult:
    """Train a bundled model further on your own structures: what ``unigen finetune`` does.

    Args:
        model: bundled name, such as ``unigen-crystal-small``, or a model folder.
        data: a built dataset, a folder or a file; or structures as `relax` takes them, which are first written to
            ``OUT.extxyz`` (molecules: ``OUT.sdf``) beside the run folder, from where an interrupted run goes on.
        out: run folder; the same call goes on with an interrupted run.
        property: learn to be asked for this property of the structures.
        properties: CSV of properties by id; of structures in memory a value a structure, ``{"hardness": [2.1, ...]}``,
            NaN where it is unknown.
        unit: of the property, for messages and the card.
        steps: at most; it ends early when nothing is gained.
        split_val: share that is held out, if the data holds out none.
        seed: same seed and machine: the same model.
        accelerator: that it trains on.
        workers: processes; by default one a core.
        progress: say what is done and show bars; by default in notebooks.

    Returns:
        What it could do ``before``, with the structures as ``relatives`` alone, and ``after``; ``to_dataframe()`` has
        the three side by side. ``model`` is the folder that `unigen.generate` and `unigen.load` take. A warning counts
        the structures that could not be used.

    Raises:
        UserError: a model that cannot be trained further, no such property, too few structures, a folder that holds
            another run.

    Example:
        >>> tuned = finetune("unigen-crystal-small", structures, out="tuned")  # doctest: +SKIP
        >>> tuned.to_dataframe()  # doctest: +SKIP
        >>> generate("CaTiO3", model=tuned.model)  # doctest: +SKIP
    """
    from rich.console import Console

    out, lost, text = Path(out), Counter[str](), ""
    if isinstance(data, str | Path):
        if isinstance(properties, Mapping):
            raise UserError(
                "properties: values are of structures in memory", next_step="give files a CSV of properties by id"
            )
        source, table = data, properties
    else:
        if properties is not None and not isinstance(properties, Mapping):
            raise UserError(
                "properties: a CSV is of files, whose names it has",
                got=str(properties),
                wanted="a value a structure, such as {'hardness': [2.1, 3.4]}",
            )
        given = samples_of(data)[0]
        lost.update(f"no structure: {sample.reason}" for sample in given.failed)
        text, table = _file_of(given, properties or {}), None
        # beside the run folder, which holds nothing that it did not make
        source = out.with_name(out.name + (".sdf" if given.kind == "molecules" else ".extxyz"))
    settings = FineTuneSettings(
        model=str(model),
        data=str(source),
        out=out,
        property=property,
        properties=None if table is None else Path(table),
        unit=unit,
        steps=steps,
        split_val=split_val,
        seed=seed,
        accelerator=accelerator,
        workers=workers,
    )
    if text:
        _write(Path(source), text)
    shown = in_notebook() if progress is None else progress
    result = fine_tune(settings, Console(force_jupyter=False) if shown else None)
    for reason, count in (lost + Counter(result.left_out)).items():
        warnings.warn(f"{count} left out: {reason}", stacklevel=2)
    return result


def _file_of(given: Samples, properties: Mapping[str, Sequence[float]]) -> str:
    """The structures as one file with their properties.

    Raises:
        UserError: values of other structures.
    """
    for name, values in properties.items():
        if len(values) != len(given):
            raise UserError(
                f"properties: {name} has another length", got=len(values), wanted=f"{len(given)}, one a structure"
            )
    texts = []
    for place, sample in enumerate(given):
        if sample.structure is None:
            continue
        own = {name: float(values[place]) for name, values in properties.items()}
        known = {name: value for name, value in own.items() if math.isfinite(value)}
        structure = replace(sample.structure, properties={**sample.structure.properties, **known})
        texts.append(structure.to_sdf(name=f"{place}") if given.kind == "molecules" else structure.to_extxyz())
    return "".join(texts)


def _write(path: Path, text: str) -> None:
    """Write the structures, unless they stand there already.

    Raises:
        UserError: a file of other structures stands there.
    """
    if path.exists():
        if path.read_text(encoding="utf-8") != text:
            raise UserError("other structures stand here", where=str(path), next_step="give another out, or remove it")
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
