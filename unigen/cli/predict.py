"""``unigen predict``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.options import Device


def predict(
    structures: Annotated[
        Path, typer.Argument(help="CIF folder, extxyz, SDF, run folder, ...: crystals or molecules.")
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help="Bundled name or model folder.", show_default="unigen-crystal-predictor, unigen-qm9-predictor"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for predictions.csv and a page.")] = None,
    page: Annotated[bool, typer.Option(help="Also report.html, with every structure in 3D.")] = True,
    device: Device = "cpu",
) -> object:
    """Properties of anyone's structures by a trained network, with error bars where it tells them."""
    from rich.console import Console

    from unigen.api.prediction import predict_samples, write_folder
    from unigen.api.structures import samples_of
    from unigen.runs.prediction import NOTE, predictions_table

    console = Console()
    samples, predictor = predict_samples(samples_of(structures)[0], model, device)
    rows, facts = samples.rows(), [sample.facts for sample in samples]
    console.print(predictions_table(rows, facts, predictor, console.width))
    silent = sum(NOTE in fact for fact in facts)
    unread = [sample for sample in samples if sample.structure is None]
    predicted = len(samples) - silent - len(unread)
    told = f"{predicted} of {len(samples)} {samples.kind}, by {predictor.name}"
    if silent:
        told += f"; nothing said of {silent}: {next(fact[NOTE] for fact in facts if NOTE in fact)}"
    if unread:
        told += f"; {len(unread)} not read: {unread[0].reason}"
    console.out(told, highlight=False)
    console.out(f"trained on: {predictor.trained_on}", highlight=False)
    if out is not None:
        write_folder(out, samples, predictor, page=page)
        console.out(f"written to {out}", highlight=False)
    return {"predictor": predictor.name, "predicted": facts}
