"""A bundled model trained further on structures of the user: one folder, gone on with by the same command.

``finetune.yaml`` says what makes the results; ``data/`` holds the user's structures as a dataset, ``replay/`` those
that the model has learned before, ``relatives/`` the joined table of known structures; training is `unigen.train`'s,
whose best weights, with the table and a card, become ``model/``. ``before.json`` and ``finetune.json`` hold what was
measured.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from unigen.cards import Kind
from unigen.config import check_ranges, read_yaml, write_yaml
from unigen.data.build import BuildOptions, build_dataset
from unigen.data.build_sources import resolve_sources
from unigen.data.store import Dataset
from unigen.data.summary import print_result
from unigen.disk import alone_in, durable, empty_folder, sha256_of, write_text
from unigen.disk import checksum as file_checksum
from unigen.errors import UserError
from unigen.journal import claim_folder
from unigen.models.card import ModelCard, read_model_card
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder, save_model
from unigen.models.families import FAMILIES, UNLEARNED, Learned, family_of
from unigen.models.fine_tuning import FineTuning, Material
from unigen.models.interface import ALL
from unigen.retrieval.build_table import TABLE
from unigen.runs.fine_tuning_measures import Asked, Measured, Measures, open_kind
from unigen.train.run import train
from unigen.train.settings import OptimConfig, TrainConfig
from unigen.version import __version__

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

CLAIM, BEFORE, RESULT = "finetune.yaml", "before.json", "finetune.json"

_HELD_OUT, _LARGEST_FRACTION = 0.75, 0.95
"""Of the share that is asked for, what must be held out at least; and the largest that is tried for it."""

FEWEST = 10
"""Structures to train on, and half as many to validate with: of fewer, nothing that is measured says anything."""


@dataclass(frozen=True, kw_only=True)
class FineTuneSettings:
    """What is trained on what.

    Attributes:
        model: bundled name or model folder.
        data: a built dataset, or files or a folder of structures.
        out: run folder.
        property: that is learned, a column of the data; None: the structures are.
        properties: a CSV of properties of the structures; one that lies in their folder is found.
        unit: of the property.
        steps: optimizer steps, at most.
        split_val: share of the formulas that is held out where the data holds none out itself.
        seed: of everything drawn.
        accelerator: that torch trains on.
        workers: processes; None for one a core.
    """

    model: str
    data: str
    out: Path
    property: str | None = None
    properties: Path | None = None
    unit: str = ""
    steps: int = 300
    split_val: float = 0.2
    seed: int = 0
    accelerator: Literal["auto", "cpu", "gpu"] = "cpu"
    workers: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, split_val=(0.01, 0.9), workers=(1, 4096))  # steps and seed: as in training
        check_ranges(self, steps=(1, 10_000_000), seed=(0, 2**32 - 1))
        if self.accelerator not in ("auto", "cpu", "gpu"):
            raise UserError("accelerator: no such thing", got=self.accelerator, wanted="auto, cpu or gpu")


@dataclass(frozen=True)
class FineTuneResult:
    """What came of it.

    Attributes:
        kind: of structure.
        model: the folder of the new model.
        before: of the model as it was.
        relatives: of the same weights with the user's structures in its table; None for models without a table.
        after: of the new model.
        kept: whether training made the model better on what is held out, and so its weights are the new model's.
        splits: the user's structures by split.
        left_out: structures and files that could not be used, by reason.
        notes: what a reader of the numbers should know.
    """

    kind: Kind
    model: Path
    before: Measured
    relatives: Measured | None
    after: Measured
    kept: bool
    splits: dict[str, int]
    left_out: dict[str, int]
    notes: tuple[str, ...]

    def to_dataframe(self) -> pd.DataFrame:
        """What was measured, a row each (see `Measured`), of the models before, with the relatives alone, and after."""
        import pandas as pd

        columns = {"before": self.before, "relatives": self.relatives, "after": self.after}
        names = ("score", "drawn", "made", "held_out", "remembered")
        found = {key: measured for key, measured in columns.items() if measured is not None}
        return pd.DataFrame({key: [getattr(each, name) for name in names] for key, each in found.items()}, index=names)


def fine_tune(settings: FineTuneSettings, console: Console | None = None) -> FineTuneResult:
    """Train a model further and measure it before and after; started again it goes on.

    Raises:
        UserError: a model that cannot be trained further, data without such a property or with too few structures, a
            folder that holds another run.
    """
    if settings.model in UNLEARNED:
        raise UserError(f"{settings.model} learns nothing", next_step="give it your structures with --retrieve-from")
    folder = model_folder(settings.model)
    network = load_model(folder)
    learned = _trainable(network.config, settings.model)
    if settings.property in getattr(network.config, "properties", ()):
        raise UserError(
            f"the model knows the property {settings.property!r} already",
            where=settings.model,
            next_step=f"ask for it: unigen generate ... --property {settings.property}=VALUE, or give yours a new name",
        )
    config = network.config if settings.property is None else network.told(settings.property, settings.unit)
    (source,) = resolve_sources("mine", (settings.data,))
    if source.kind != learned.reads:
        raise UserError(f"this model is of {learned.reads}", where=settings.data, got=source.kind)
    only = network.property_part or ALL if settings.property is not None else ALL
    out = settings.out
    if Path(settings.data).is_dir() and out.resolve().is_relative_to(Path(settings.data).resolve()):
        # what is written there would be read as data when an interrupted run goes on
        raise UserError("the new model would lie within its data", where=str(out), next_step="give another --out")
    started = time.monotonic()
    with alone_in(out):
        claim_folder(out, CLAIM, _facts(settings, folder, source.checksum(out / "data")), not_compared=("unigen",))
        try:
            data = _user_data(settings, source.kind, console)
        except UserError:
            empty_folder(out)  # nothing was learned: the folder is free for another try
            raise
        splits = dict(Counter(data.split.tolist()))
        task = FineTuning(
            model=folder,
            network=network,
            store=out / "data" / f"{source.kind}.parquet",
            trained=splits.get("train", 0),
            folder=out,
            seed=settings.seed,
            replayed=only == ALL,
            workers=settings.workers,
            progress=console is not None,
        )
        assert learned.fine_tuning is not None
        material = learned.fine_tuning(task)
        run = _training(settings, config, material, folder, only)
        measures = Measures(
            kind=source.kind,
            run=run,
            material=material,
            base=folder,
            asked=Asked.of(settings.property, settings.unit, data, settings.seed) if settings.property else None,
        )
        _say(console, "measuring the model as it is")
        before, relatives = _remembered(out / BEFORE, measures)
        _say(console, f"training, at most {settings.steps} steps; it ends early when the held-out loss grows")
        model = train(run)
        if material.table is not None:
            with durable(model / TABLE) as partial:
                shutil.copyfile(material.table, partial)
        _say(console, "measuring the new model")
        after = measures.after(model)
        undone = why_undone(relatives or before, after, kind=source.kind, asked=measures.asked)
        if undone:
            _keep_old_weights(model, measures)
            after = measures.after(model)
        notes = _notes(data, config, material, measures, undone, relatives or before, after)
        built = read_yaml(out / "data" / "build.yaml")
        left_out = {**built["rejected"], **built.get("passed_over", {})}
        result = FineTuneResult(source.kind, model, before, relatives, after, not undone, splits, left_out, notes)
        _write(result, settings, run, folder, hours=(time.monotonic() - started) / 3600)
    return result


def _trainable(config: Any, model: str) -> Learned:
    family = family_of(config)
    if family.learned is None or family.learned.fine_tuning is None:
        able = [each.name for each in FAMILIES if each.learned is not None and each.learned.fine_tuning is not None]
        raise UserError(
            f"models of the family {family.name} cannot be fine-tuned",
            where=model,
            wanted=f"a model of the family {' or '.join(able)}",
            next_step="train it from the beginning: unigen train CONFIG",
        )
    return family.learned


def _facts(settings: FineTuneSettings, folder: Path, checksum: str) -> dict[str, Any]:
    """What makes the results."""
    names = ("data", "property", "unit", "steps", "split_val", "seed")
    return {
        "unigen": __version__,
        "model": folder.name,
        "version": sha256_of(folder / WEIGHTS),
        **{name: getattr(settings, name) for name in names},
        "checksum": checksum,
        "properties": settings.properties and file_checksum(settings.properties),
    }


def _user_data(settings: FineTuneSettings, kind: Kind, console: Console | None) -> Dataset:
    """The user's structures, built into the run's folder; those that hold out nothing themselves are divided.

    Raises:
        UserError: no such property, or too few structures.
    """
    folder = settings.out / "data"
    store = folder / f"{kind}.parquet"
    if not store.exists():
        fraction, least = 0.0, 0.0
        while True:
            options = BuildOptions(split_val=fraction, properties=settings.properties)
            built = build_dataset("mine", (settings.data,), options, workers=settings.workers, folder=folder)
            held = built.splits.get("val", 0) / max(sum(built.splits.values()), 1)
            if held > least or fraction >= _LARGEST_FRACTION:
                break
            # a hash decides for each formula: of few, less than was asked for may be held out
            fraction = min(max(settings.split_val, 1.25 * fraction), _LARGEST_FRACTION)
            least = _HELD_OUT * settings.split_val
        if console is not None:
            print_result(built, console)
    data = open_kind(kind, store)
    if settings.property is not None:
        if settings.property not in data.properties:
            raise UserError(
                f"no property {settings.property!r}",
                where=settings.data,
                wanted=f"one of {', '.join(sorted(data.properties))}" if data.properties else "a column of numbers",
            )
        data = data.select(np.isfinite(data.properties[settings.property]))
    counts = Counter(data.split.tolist())
    if counts["train"] < FEWEST or counts["val"] < FEWEST // 2:
        what = f"with the property {settings.property}" if settings.property else "of it that could be read"
        raise UserError(
            f"too few structures {what}",
            where=settings.data,
            got=f"{counts['train']} to train on, {counts['val']} held out",
            wanted=f"at least {FEWEST} and {FEWEST // 2}",
            next_step="give more of them" + (", or another --split-val" if 2 * counts.total() >= 3 * FEWEST else ""),
        )
    return data


def _training(settings: FineTuneSettings, config: Any, material: Material, folder: Path, only: str) -> TrainConfig:
    """Chosen on OQMD-like crystals of 240 and 130 molecules; see configs/README.md."""
    alone = only != ALL
    return TrainConfig(
        model=config,
        data=replace(material.data, batch_size=32, bucket=4),
        optim=OptimConfig(
            # an adapter alone begins at nothing and bears the rate it was published with; a trained network a fifth of
            # the rate that it was trained with, or what it knows is lost before the user's structures are learned
            lr=2e-3 if alone else 2e-4,
            schedule="cosine",
            warmup_steps=20,
            weight_decay=0.05,
            beta2=0.99,
            ema_decay=0.95,  # an average of 20 steps: validations are 25 apart
            symbol_weight=1.0 if alone else 0.2,  # as in the configurations of the bundled models
        ),
        out=str(settings.out),
        max_steps=settings.steps,
        only=only,
        start_from=str(folder.resolve()),
        seed=settings.seed,
        accelerator=settings.accelerator,
        checkpoint_minutes=0.5,
        validate_every=25,
        validate_batches=1_000,  # all that is held out
        patience=4,
        match_structures=0,
        log_every=25,
    )


def _remembered(path: Path, measures: Measures) -> tuple[Measured, Measured | None]:
    """What was measured before training: kept, since it costs as much as a part of the training."""
    if path.exists():
        held = json.loads(path.read_text())
        relatives = held["relatives"] and Measured(**held["relatives"])
        return Measured(**held["before"]), relatives
    before, relatives = measures.before(), measures.with_relatives()
    write_text(path, json.dumps({"before": asdict(before), "relatives": relatives and asdict(relatives)}, indent=1))
    return before, relatives


def why_undone(start: Measured, after: Measured, *, kind: Kind, asked: Asked | None) -> str:
    """Why the old weights are the better ones; empty where training made better ones.

    Args:
        start: of the old weights, with the user's structures as relatives.
        after: of the trained ones.
        kind: of structure.
        asked: the property that is learned; None where structures are.
    """
    if not after.held_out < start.held_out:
        return "training made the held-out loss no smaller"
    # the loss is of every number by itself; what a user wants are whole structures, and a few steps can lower both
    if asked is None and after.score < start.score:
        what = "the match rate" if kind == "crystals" else "the share of near conformers"
        return f"training lowered {what} of what is held out, {100 * start.score:.1f} to {100 * after.score:.1f} %"
    return ""


def _keep_old_weights(model: Path, measures: Measures) -> None:
    """The model is the one it was, with the user's structures in its table."""
    save_model(measures.start(), model)


def _notes(
    data: Dataset, config: Any, material: Material, measures: Measures, undone: str, start: Measured, after: Measured
) -> tuple[str, ...]:
    notes = []
    large = int((data.num_atoms > config.max_atoms).sum())
    if large:
        use = "are followed as relatives alone" if material.table else "are left out"
        notes.append(f"{large} structures of more than {config.max_atoms} atoms {use}: the model cannot learn them")
    if undone:
        notes.append(f"{undone}: the weights stay as they were")
    elif measures.asked is not None and after.score > start.score:
        notes.append(
            f"the {measures.asked.name} of what is drawn is farther from what is asked for than without training "
            f"({start.score:.3g} to {after.score:.3g}): give more structures or steps before you rely on it"
        )
    if measures.asked is not None:
        asked = measures.asked
        notes.append(
            f"{asked.name} is judged by kernel ridge regression over your structures, whose own leave-one-out error is "
            f"{asked.judge.own_error:.3g} {asked.unit}".rstrip()
        )
    return tuple(notes)


def report_rows(result: FineTuneResult, settings: FineTuneSettings) -> list[tuple[str, ...]]:
    """The table of before and after: a heading, then a row a number."""
    columns = [("before", result.before), ("your relatives", result.relatives), ("after", result.after)]
    shown = [(heading, measured) for heading, measured in columns if measured is not None]
    unit = f" {settings.unit}" if settings.unit else ""
    if settings.property is not None:
        name = f"error of the {settings.property} asked for,{unit or ' in its unit'}"
        scores = [f"{measured.score:.3g}" for _, measured in shown]
    else:
        what = "match rate" if result.kind == "crystals" else "conformers within 0.5 Angstrom"
        name, scores = f"{what}, held out, %", [f"{100 * measured.score:.1f}" for _, measured in shown]
    return [
        ("", *(heading for heading, _ in shown)),
        (f"{name} (of {shown[0][1].drawn})", *scores),
        ("loss of what is held out", *(f"{measured.held_out:.3f}" for _, measured in shown)),
        ("loss of what it knew", *(f"{measured.remembered:.3f}" for _, measured in shown)),
    ]


def _write(result: FineTuneResult, settings: FineTuneSettings, run: TrainConfig, base: Path, hours: float) -> None:
    command = f"unigen finetune {settings.model} --data {settings.data}"
    if settings.property is not None:
        command += f" --property {settings.property}" + (f" --unit {settings.unit}" if settings.unit else "")
    command += f" --steps {settings.steps} --seed {settings.seed} --out {settings.out}"
    rows = report_rows(result, settings)
    pairs = [zip(rows[0][1:], row[1:], strict=True) for row in rows[1:]]
    lines = [", ".join(f"{heading} {value}" for heading, value in pair) for pair in pairs]
    results = tuple(f"{row[0]}: {line} ({RESULT})" for row, line in zip(rows[1:], lines, strict=True))
    card_path = base / "card.yaml"
    card = read_model_card(card_path) if card_path.exists() else None
    splits = ", ".join(f"{count:,} {split}" for split, count in sorted(result.splits.items()))
    parameters = sum(parameter.numel() for parameter in load_model(result.model).parameters())
    property_limit = (f"{settings.property} was learned from these structures alone",) if settings.property else ()
    write_yaml(
        result.model / "card.yaml",
        ModelCard(
            name=settings.out.name,
            title=f"{base.name}, fine-tuned on {Path(settings.data).name}",
            headline=f"{rows[1][0]}: {lines[0]}",
            licence=f"of {base.name}: {card.licence if card else 'not stated'}; of your structures: yours to state",
            citation=card.citation if card else "not stated",
            parameters=parameters,
            data=f"{settings.data}: {splits} structures; before that what {base.name} was trained on",
            build=(),
            train=command,
            steps=run.max_steps,
            seed=settings.seed,
            commit=f"unigen {__version__}",
            device="CPU" if settings.accelerator == "cpu" else settings.accelerator,
            hours=round(hours, 3),
            results=results,
            evaluate=(command,),
            limits=(*result.notes, *property_limit, *(card.limits if card else ())),
        ),
    )
    written = {
        "command": command,
        "seed": settings.seed,
        "unigen": __version__,
        "splits": result.splits,
        "left_out": result.left_out,
        "kept": result.kept,
        "before": asdict(result.before),
        "relatives": result.relatives and asdict(result.relatives),
        "after": asdict(result.after),
        "notes": list(result.notes),
    }
    write_text(settings.out / RESULT, json.dumps(written, indent=1) + "\n")


def _say(console: Console | None, text: str) -> None:
    if console is not None:
        console.out(text, highlight=False)
