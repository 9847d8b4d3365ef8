"""``evaluate``, ``predict``, ``rank`` and ``identify``: structures from anywhere, judged, chosen among, recognised."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from unigen.api.runs import warn_of_poor_fits
from unigen.api.samples import Samples, row_of_sample
from unigen.api.structures import samples_of
from unigen.cards import Kind
from unigen.data.readers.contents import kind_of
from unigen.data.readers.record import Row
from unigen.elements import ATOMIC_NUMBER, parse_formula
from unigen.errors import UserError
from unigen.eval.report import Report
from unigen.models.families import UNLEARNED
from unigen.models.generator import Generator, Sample
from unigen.parallel import Workers, in_notebook
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest
from unigen.sample.generate import BUNDLED
from unigen.sample.requests import split_elements


def evaluate(
    samples: Any,
    reference: Any = None,
    protocol: Any = None,
    *,
    relax: int = 0,
    hull: str | None = None,
    potential: str = "chgnet",
    energy_scheme: str | None = None,
    max_steps: int = 500,
    against: str | None = None,
    device: str = "cpu",
    batch: int | None = None,
    stability: Any = None,
    predictor: str | Path | None = None,
    workers: int | None = None,
    seed: int = 0,
    progress: bool | None = None,
    **options: Any,
) -> Report:
    """Judge anyone's structures: what ``unigen evaluate crystals`` and ``unigen evaluate molecules`` do.

    Args:
        samples: Samples, Crystal, Molecule, pymatgen Structure, ASE Atoms, RDKit Mol, a path, or a list of these.
        reference: a dataset's name (``"mp-20:test"``), a path, or structures as above.
        protocol: of crystals "csp" or "denovo"; by default what the input allows.
        relax: of crystals, relax the first so many; 0: none, or all with ``hull`` or ``against``.
        hull: energies above this reference set.
        potential: of these energies.
        energy_scheme: of a calculator by its path.
        max_steps: of the relaxations.
        against: another method's structures: energies by composition.
        device: of torch, for the potential.
        batch: structures computed together.
        stability: the same in one object, `unigen.eval.crystals.stability.StabilityRules`.
        predictor: of crystals, of properties asked for that are not computed; by default the bundled one.
        workers: processes; one a core by default.
        seed: of the bootstrap intervals.
        progress: show bars; by default in notebooks.
        options: those of `unigen.eval.crystals.evaluate.evaluate_crystals` (``k``, ``only_sampled``, ``coverage``,
            ``breakdown``, ``neighbours_of``) or `unigen.eval.molecules.evaluate.evaluate_molecules` (``posebusters``,
            ``strain``, ``largest_fragment``).

    Returns:
        The report: ``report["match_rate.k1"]`` is a number, ``report.rows`` has one row a sample.

    Raises:
        UserError: nothing readable, an option of the other kind or protocol.

    Example:
        >>> from unigen import generate
        >>> evaluate(generate("NaCl", z=1, n=2))["valid"]
        1.0
    """
    shown = in_notebook() if progress is None else progress
    given = _readable(samples)
    common: dict[str, Any] = {"workers": workers, "seed": seed, "progress": shown}
    if _kind_of(given) == "molecules":
        from unigen.eval.molecules.evaluate import evaluate_molecules

        if protocol or relax or hull or against or stability or predictor:
            raise UserError("protocol, relax, hull, against and predictor are of crystals", got="molecules")
        return evaluate_molecules(given, _readable(reference), **common, **options)
    from unigen.eval.crystals.evaluate import evaluate_crystals

    if stability is None and (relax or hull or against):
        from unigen.energies.potential import find_potential
        from unigen.energies.relaxation import RelaxSettings
        from unigen.eval.crystals.stability import StabilityRules

        calculator = find_potential(potential, energy_scheme, device, batch)
        settings = RelaxSettings(max_steps=max_steps)
        stability = StabilityRules.of(calculator, settings, None, hull, relax or None, against, given)
    from unigen.sample.predict import CRYSTALS, open_predictor

    judge = partial(open_predictor, predictor or CRYSTALS, device)
    return evaluate_crystals(
        given, _readable(reference), protocol, stability=stability, predictor=judge, **common, **options
    )


def _readable(given: Any) -> Any:
    """Paths, names and what evaluations take as they are; everything else as rows, or molecules."""
    if given is None or isinstance(given, str | Path):
        return given
    parts = given if isinstance(given, list | tuple) else None
    if parts and all(type(part).__module__.startswith("unigen.eval") or isinstance(part, Row) for part in parts):
        return given
    samples = samples_of(given)[0]
    return _molecules(samples) if samples.kind == "molecules" else [row_of_sample(sample) for sample in samples]


def _molecules(samples: Samples) -> list[Any]:
    from unigen.eval.molecules.samples import MoleculeEntry

    return [
        MoleculeEntry(
            id=sample.request.id or f"sample-{place}",
            index=sample.index,
            reason=sample.reason,
            seed=sample.seed,
            molecule=sample.structure,
            carried="none" if sample.structure is None or not len(sample.structure.bonds) else "accepted",
            smiles=sample.request.smiles or "",
            requested=dict(sample.request.properties),
        )
        for place, sample in enumerate(samples)
    ]


def _kind_of(given: Any) -> Kind:
    if isinstance(given, str | Path):
        return kind_of(Path(given))
    return "molecules" if any(type(each).__name__ == "MoleculeEntry" for each in given) else "crystals"


def rank(
    candidates: Any,
    *,
    by: str = "energy",
    n: int | None = None,
    model: str | Path | Generator | None = None,
    pxrd: str | Path | None = None,
    wavelength: str | float | None = None,
    axis: str | None = None,
    potential: str | None = None,
    energy_scheme: str | None = None,
    relax: int = 0,
    fix_symmetry: bool = False,
    pressures: Sequence[float] = (),
    hull: str | None = None,
    predictor: str | None = None,
    out: str | Path | None = None,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool | None = None,
) -> Samples:
    """The best distinct ones of each composition (of samples: of each request), the best first.

    Args:
        candidates: Samples or structures, as `unigen.relax` takes them.
        by: energy, pxrd (a powder pattern), property, likelihood (of samples that a model has scored).
        n: so many of each; by default all distinct ones.
        model: what drew them, for properties and likelihoods; by default the one the samples name.
        pxrd: powder pattern that they are to explain.
        wavelength: of the pattern; axis: of its first column.
        axis: see ``wavelength``.
        potential: of energies; energy_scheme: of a calculator by its path.
        energy_scheme: see ``potential``.
        relax: relax so many of the best and rank them again.
        fix_symmetry: within their space groups.
        pressures: GPa, at which they are relaxed and compared.
        hull: reference set; answers are told their energy above it.
        predictor: of properties of molecules.
        out: folder that keeps what is computed.
        workers: processes; by default one a core.
        device: of torch.
        progress: show bars; by default in notebooks.

    Returns:
        The answers, with rank and what the ranker found in ``sample.ranking``. Where a composition has fewer than ``n``
        distinct ones, the missing are failed samples that say so.

    Raises:
        UserError: a way to rank that does not fit, no such potential, hull, pattern or predictor.

    Example:
        >>> best = rank(["a.cif", "b.cif"], by="energy")  # doctest: +SKIP
    """
    from unigen.sample.rank import by_request, open_ranker, rank_candidates

    given = samples_of(candidates)[0]
    if pxrd is not None:
        if given.kind == "molecules":
            raise UserError("a powder pattern is of crystals", got="molecules")
        given = Samples(replace(each, request=replace(each.request, pxrd=str(pxrd))) for each in given)
    groups = by_request(sorted(given, key=lambda sample: (sample.request_index, sample.index)))
    requests = [group[0].request for group in groups]
    settings: dict[str, Any] = {
        "by": by,
        "candidates": max(map(len, groups)),
        "wavelength": None if wavelength is None else str(wavelength),
        "axis": axis,
        "potential": potential,
        "energy_scheme": energy_scheme,
        "relax": relax,
        "fix_symmetry": fix_symmetry,
        "pressures": tuple(pressures),
        "hull": hull,
        "predictor": predictor,
    }
    ranker = open_ranker(RankSettings(**settings), _generator(model, given), requests, device)
    shown = in_notebook() if progress is None else progress
    with Workers(workers, progress=shown) as pool:
        folder = None if out is None else Path(out)
        _, choices = rank_candidates(groups, ranker, n or max(map(len, groups)), pool, folder)
    answers = [answer for choice in choices for answer in choice.answers]
    warn_of_poor_fits(answers)
    if n is None:  # asked for all: what is not there was the like of another, and is no failure
        return Samples(answer for answer in answers if answer.ranking)
    ranked = Samples(answers)
    if lost := ranked.failed:
        warnings.warn(f"{len(lost)} of {len(ranked)} answers missing; the first: {lost[0].reason}", stacklevel=2)
    return ranked


def _generator(model: Any, samples: Samples) -> Generator:
    """What drew the samples, where it can be opened; else the bundled model of their kind."""
    from unigen.sample.load import load

    if isinstance(model, Generator):
        return model
    bundled = BUNDLED[CrystalRequest] if samples.kind == "crystals" else next(reversed(BUNDLED.values()))
    if model is None:
        named = {sample.model for sample in samples} - {"", *UNLEARNED}
        model = next(iter(named)) if len(named) == 1 and named <= set(BUNDLED.values()) else bundled
    return load(model, makes=samples.kind, device="cpu")


def identify(
    pxrd: str | Path,
    *,
    elements: str | Sequence[str] | None = None,
    formula: str | None = None,
    known: str | Path | None = None,
    n: int = 10,
    wavelength: str | float | None = None,
    axis: str | None = None,
    workers: int | None = None,
    progress: bool | None = None,
) -> Samples:
    """Which known structure is it? Those that explain a powder pattern best: what ``unigen identify`` does.

    Args:
        pxrd: powder pattern: columns of text, CIF, an instrument's file.
        elements: only structures of these, ``"Ti,O"`` or a list.
        formula: only structures of this composition.
        known: dataset; by default the table of the bundled model.
        n: structures to list.
        wavelength: Angstrom, or a name such as CuKa1; by default what the file says, else Cu K-alpha.
        axis: 2theta, q or d; by default by the heading.
        workers: processes; by default one a core.
        progress: show bars; by default in notebooks.

    Returns:
        The most similar first, each with the cell that fits best, ``similarity``, ``r_wp`` and ``scale`` in
        ``sample.facts``; what could not be compared is counted in a warning.

    Raises:
        UserError: no pattern, an unknown element, no known structure of the composition.
    """
    from unigen.crystals.powder.files import read_pattern
    from unigen.models.checkpoint import model_folder
    from unigen.ranking.identification import identify as search
    from unigen.ranking.identification import open_known
    from unigen.retrieval.build_table import TABLE

    symbols = None if elements is None else split_elements(elements)
    for symbol in symbols or ():
        if symbol not in ATOMIC_NUMBER:
            raise UserError(f"elements: unknown element {symbol!r}", wanted="symbols such as Ti,O")
    read_axis: Any = axis
    pattern = read_pattern(Path(pxrd), wavelength=None if wavelength is None else str(wavelength), axis=read_axis)
    structures = open_known(model_folder(BUNDLED[CrystalRequest]) / TABLE if known is None else known)
    with Workers(workers, progress=in_notebook() if progress is None else progress) as pool:
        result = search(
            pattern,
            structures,
            pool,
            elements=None if symbols is None else [ATOMIC_NUMBER[symbol] for symbol in symbols],
            formula=None if formula is None else parse_formula(formula),
            n=n,
        )
    for reason, lost in result.left_out.items():
        warnings.warn(f"{lost} known structures not compared: {reason}", stacklevel=2)
    if remark := result.poor_fit:
        warnings.warn(remark, stacklevel=2)
    samples = []
    for place, each in enumerate(result.found):
        facts: dict[str, Any] = {"similarity": each.similarity, "scale": each.scale}
        samples.append(
            Sample(
                structure=each.crystal,
                request=CrystalRequest(formula=each.crystal.reduced_formula, id=each.id),
                request_index=0,
                index=place,
                seed=0,
                model="known structures",
                log_likelihood=None,
                score=each.similarity,
                facts=facts if pattern.peaks else facts | {"r_wp": each.r_wp},
            )
        )
    return Samples(samples)
