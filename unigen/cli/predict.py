"""``unigen predict``: parse, call, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from unigen.cli.options import Device


def predict(
    structures: Annotated[
        list[Path], typer.Argument(help="Files or folders: CIF, extxyz, SDF, a run, ...: crystals or molecules.")
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

    from unigen.api.prediction import predict_samples, remarks, write_folder
    from unigen.api.structures import samples_of
    from unigen.runs.prediction import NOTE, predictions_table
    from unigen.runs.sample_table import sample_columns

    console = Console()
    samples, predictor = predict_samples(
        samples_of(structures if len(structures) > 1 else structures[0])[0], model, device
    )
    rows, facts = samples.rows(), [sample.facts for sample in samples]
    console.print(predictions_table(rows, facts, predictor, console.width))
    predicted = sum(sample.structure is not None and NOTE not in sample.facts for sample in samples)
    console.out(f"{predicted} of {len(samples)} {samples.kind}, by {predictor.name}", highlight=False)
    for line in remarks(samples):
        console.out(line, highlight=False)
    console.out(f"trained on: {predictor.trained_on}", highlight=False)
    if out is not None:
        write_folder(out, samples, predictor, page=page)
        console.out(f"written to {out}", highlight=False)
    units = dict(zip(predictor.properties, predictor.units, strict=True))
    described = [sample_columns(row, fact) for row, fact in zip(rows, facts, strict=True)]
    return {"predictor": predictor.name, "units": units, "structures": described}
