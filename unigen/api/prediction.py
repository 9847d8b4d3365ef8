"""``predict``: properties of structures from anywhere, by a trained predictor."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from unigen.api.samples import Samples
from unigen.api.structures import POSITIONS, samples_of
from unigen.disk import alone_in
from unigen.models.generator import Sample
from unigen.runs.prediction import ERROR, NOTE, PREDICTED, write_predictions
from unigen.sample.predict import CRYSTALS, JUDGE, NetworkPredictor, Predictions, open_predictor_of

_DIGITS = 6
"""Behind the point: single precision tells no more of an electronvolt."""


def predict(
    structures: Any,
    predictor: str | Path | None = None,
    *,
    out: str | Path | None = None,
    page: bool = True,
    device: str = "cpu",
) -> Any:
    """Properties of crystals or molecules: what ``unigen predict`` tells.

    Args:
        structures: Samples, Crystals, Molecules, pymatgen Structures, RDKit Mols, ASE Atoms, a path, or a list of
            these.
        predictor: a bundled name or a model folder; by default ``unigen-crystal-predictor``, of molecules
            ``unigen-qm9-predictor``.
        out: folder to write ``predictions.csv`` into.
        page: with ``out`` also ``report.html``.
        device: of torch.

    Returns:
        Samples (one Sample for one structure) with each property in ``sample.facts``, such as ``band_gap_predicted``,
        in the units of the predictor's data (QM9: hartree, debye, bohr^3, cal/(mol K)), and where the predictor tells
        it ``band_gap_error``: nine errors of ten are smaller, on structures like those of the training. What nothing
        can be said of has a ``prediction_note`` that says why, what could not be read a reason. Where
        positions were estimated from a SMILES, which ``positions`` tells, no error bar holds and none is told. Warnings
        count them.

    Raises:
        UserError: nothing to read, no such predictor, one of the other kind of structures, a folder that holds
            something else.

    Example:
        >>> from unigen import Molecule
        >>> sorted(predict(Molecule.from_smiles("CCO")).facts)[0]
        'Cv_predicted'
    """
    given, single = samples_of(structures)
    samples, opened = predict_samples(given, predictor, device)
    for line in remarks(samples):
        warnings.warn(line, stacklevel=2)
    if out is not None:
        write_folder(Path(out), samples, opened, page=page)
    return samples[0] if single else samples


def remarks(samples: Samples) -> list[str]:
    """A line each for positions that are estimates, what nothing is predicted of, and what could not be read."""
    notes = Counter(str(sample.facts[NOTE]) for sample in samples if NOTE in sample.facts)
    unread = Counter(sample.reason for sample in samples if sample.structure is None)
    estimates = Counter(sample.facts[POSITIONS] for sample in samples if POSITIONS in sample.facts)
    lines = [
        f"positions of {times} of {len(samples)} structures are estimated from their SMILES ({how}): "
        "values are of relaxed molecules, and no error bar holds"
        for how, times in estimates.items()
    ]
    for said, reasons in ((f"nothing is predicted of {notes.total()}", notes), (f"{unread.total()} not read", unread)):
        if reasons:
            (first, times), *others = reasons.most_common()
            rest = f" ({times}), and {len(others)} other reason{'s' * (len(others) > 1)}" if others else ""
            lines.append(f"{said} of {len(samples)} structures: {first}{rest}")
    return lines


def predict_samples(
    samples: Samples, predictor: str | Path | None = None, device: str = "cpu"
) -> tuple[Samples, NetworkPredictor]:
    """Samples with what is predicted among their facts, and by which predictor; arguments and errors as `predict`."""
    usual = {"crystals": CRYSTALS, "molecules": JUDGE}[samples.kind]
    opened = open_predictor_of(samples.kind, predictor or usual, device)
    made = [sample.structure for sample in samples if sample.structure is not None]
    found, places = opened.predict(made), iter(range(len(made)))
    told = (each if each.structure is None else _predicted(each, found, next(places)) for each in samples)
    return Samples(told), opened


def write_folder(folder: Path, samples: Samples, predictor: NetworkPredictor, *, page: bool = True) -> None:
    """Write the table of what was predicted, and the page; raises UserError as `predict` does."""
    rows, facts = samples.rows(), [sample.facts for sample in samples]
    with alone_in(folder):
        write_predictions(folder, rows, facts, predictor)
        if page:
            from unigen.report.prediction_page import write_prediction_page

            write_prediction_page(folder, [sample.structure for sample in samples], rows, facts, predictor)


def _predicted(sample: Sample[Any, Any], found: Predictions, place: int) -> Sample[Any, Any]:
    if found.reasons[place]:
        return replace(sample, facts=sample.facts | {NOTE: found.reasons[place]})
    facts: dict[str, Any] = {}
    # bars that hold 90 % of relaxed molecules hold 10 to 50 % of estimates (eval/prediction/geometries.py)
    is_estimate = POSITIONS in sample.facts
    for name, value, error in zip(found.properties, found.values[place], found.errors[place], strict=True):
        facts[name + PREDICTED] = round(float(value), _DIGITS)
        if math.isfinite(error) and not is_estimate:
            facts[name + ERROR] = round(float(error), _DIGITS)
    return replace(sample, facts=sample.facts | facts)
