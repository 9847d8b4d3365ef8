"""``generate``: what ``unigen generate`` does, every option of it a keyword, with samples to go on with."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.api.requests import (
    Request,
    Wanted,
    crystal_requests,
    kind_of_request,
    molecule_requests_of,
    pressures_of,
)
from unigen.api.run_folder import open_run
from unigen.api.runs import (
    check_pattern,
    formats_of,
    of_asking,
    only_given,
    ranking_of,
    run_crystals,
    run_molecules,
    stable_rules,
    warn_of_poor_fits,
)
from unigen.api.samples import Samples
from unigen.crystals.crystal import Crystal
from unigen.errors import UserError, did_you_mean
from unigen.models.families import FAMILIES, UNLEARNED
from unigen.models.generator import Generator
from unigen.parallel import Workers, in_notebook
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.retrieval.parents import Parents, read_parents
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.folder import said_known
from unigen.runs.generation import RunSettings, remarks
from unigen.sample.ensemble import EnsembleSettings, ensemble_settings, make_ensembles, open_relaxed
from unigen.sample.exchanges import TypeScan
from unigen.sample.expansion import expand
from unigen.sample.generate import BUNDLED
from unigen.sample.generate import generate as draw
from unigen.sample.parents import parent_remarks
from unigen.sample.scan import Scan

if TYPE_CHECKING:
    from unigen.runs.stable import StableRules


def generate(  # noqa: D417 - the options are said group by group
    requests: Wanted | None = None,
    *,
    n: int = 1,
    model: str | Path | Generator | None = None,
    seed: int = 0,
    kind: str | None = None,
    # what is wanted: crystals
    formula: str | None = None,
    z: int | None = None,
    n_atoms: int | None = None,
    elements: str | Sequence[str] | None = None,
    must_contain: str | Sequence[str] | None = None,
    chemical_system: str | Sequence[str] | None = None,
    charge_balanced: bool = False,
    known: str | Sequence[str] | None = None,
    space_group: int | str | Sequence[int | str] | None = None,
    crystal_system: str | None = None,
    template: str | None = None,
    properties: Mapping[str, float] | str | Sequence[str] | None = None,
    min_distance: float | str | Mapping[str, float] | None = None,
    volume_per_atom: str | Sequence[float | None] | None = None,
    density: str | Sequence[float | None] | None = None,
    distinct: str | float | None = None,
    scan: bool = False,
    scan_limit: int | None = None,
    parents: Parents | Crystal | str | Path | Sequence[Crystal | str | Path] | None = None,
    retrieve_from: str | Path | None = None,
    exclude_formula: bool = False,
    # what is wanted: molecules
    smiles: str | Sequence[str] | None = None,
    smiles_file: str | Path | None = None,
    scaffold: str | Path | None = None,
    attach: str | Sequence[int] | None = None,
    largest_fragment: bool = False,
    window: float | None = None,
    # how the model draws
    steps: int | None = None,
    solver: str | None = None,
    temperature: float | None = None,
    guidance: float | None = None,
    within: float | None = None,
    symbol_temperature: float | None = None,
    redraws: int | None = None,
    draws_per_atom: int | None = None,
    repairs: int | None = None,
    settle: bool | None = None,
    # the best of many candidates
    ranking: RankSettings | None = None,
    candidates: int | None = None,
    rank_by: str | None = None,
    pxrd: str | Path | None = None,
    wavelength: str | float | None = None,
    axis: str | None = None,
    potential: str | None = None,
    energy_scheme: str | None = None,
    relax: int | str | None = None,
    fix_symmetry: bool = False,
    pressure: str | float | Sequence[float] | None = None,
    hull: str | None = None,
    predictor: str | None = None,
    # until so many are stable
    stable: float | None = None,
    draws: int | None = None,
    known_formulas: bool = False,
    # a run folder
    out: str | Path | None = None,
    format: str | Sequence[str] | None = None,  # noqa: A002 - the command line's word
    cif: bool = True,
    symprec: float | None = None,
    picture: bool | None = None,
    page: bool | None = None,
    # how the work is done
    score: bool = True,
    batch_size: int | None = None,
    device: str = "cpu",
    workers: int | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Samples:
    """Generate crystals or molecules: the options of ``unigen generate``, which says what each of them means.

    Args:
        requests: a formula (``"ABX3"`` too) or several, a CrystalRequest or MoleculeRequest or several, mappings of
            their fields, or a file of requests; without it the keywords say what is wanted, and they hold for every
            formula of a list.
        n: samples a request; of a formula such as ``"ABX3"`` new compositions, one sample each.
        model: a bundled name, a model folder, or a generator from ``unigen.load``; by default the bundled model of what
            is asked for.
        seed: same seed and device, same structures.
        kind: what a formula or nothing at all is to be made as; by default a molecule where a SMILES, a scaffold, or a
            model of molecules is given, else a crystal.
        formula, z, n_atoms, elements, space_group, crystal_system, template, properties, min_distance, volume_per_atom,
            density, distinct, must_contain, chemical_system, charge_balanced: the crystal wanted, as
            `CrystalRequest` has it or as the command line writes it
            (``elements="Li,Fe,P,O"``, ``space_group="Pm-3m"``, ``density="4:5"``, ``properties={"density": 5}``).
        known: datasets or hulls whose formulas count as known: none is drawn without a formula.
        scan, scan_limit: every plausible composition of ``elements``; at most so many a subsystem, or of ``"ABX3"``.
        parents: structures to follow first.
        retrieve_from: dataset of known structures.
        exclude_formula: follow none of the formula's own.
        smiles: conformers of this molecule, or of several.
        smiles_file, scaffold: files; a scaffold is an SD file whose heavy atoms stay; two fragments are linked.
        attach: atoms of the scaffold, numbered from 1, that may be bonded to; by default all with a hydrogen.
        largest_fragment: of a SMILES or scaffold in pieces.
        steps, solver, temperature, guidance, within, symbol_temperature, redraws, draws_per_atom, repairs, settle: how
            the model draws; other settings of its family go by their names, too.
        ranking: how answers are chosen among candidates, in one object; or by keywords:
        candidates, rank_by, pxrd, wavelength, axis, potential, energy_scheme, fix_symmetry, pressure, hull, predictor:
            draw so many, keep the best ``n``. A model that was trained with peaks is asked for ``pxrd``, too.
        relax: of crystals, how many of the best are relaxed and ranked again; of molecules "mmff" (MMFF94) or "xtb"
            (GFN2-xTB) relaxes each. Conformers are then sorted by energy, with ``energy_kcal_mol``,
            ``relative_energy_kcal_mol`` and ``boltzmann_weight`` in ``sample.facts``:
        window, distinct: of conformers that are relaxed keep those within so many kcal/mol of the lowest, and of those
            nearer to each other than so many Angstrom (heavy atoms, best over symmetry) the lowest. ``n`` are drawn;
            what is left out comes behind, with its reason in place of a structure.
        stable, draws, known_formulas: draw until ``n`` are so many eV/atom above ``hull``; needs ``out``.
        out: run folder, as the command line writes it; the same call goes on with an interrupted run.
        format, cif, symprec, picture, page: files of the run folder.
        score: compute each sample's exact log-likelihood.
        batch_size: drawn at once.
        device: of torch, for model and potential.
        workers: processes that rate candidates.
        progress: show bars; by default in notebooks.
        settings: further settings of the model.

    Returns:
        ``n`` samples a request, in order. A sample that failed has a reason instead of a structure, and a warning says
        how many did. Ranked ones are the best first, with what the ranker found in ``sample.ranking``.

    Raises:
        UserError: a request that contradicts itself, no such model, a setting that it does not have, every sample of a
            run folder failed.

    Example:
        >>> from unigen import generate
        >>> generate("SrTiO3", z=1)[0].structure.formula
        'SrTiO3'
        >>> [each.structure.reduced_formula for each in generate(["MgO", "NaCl"], z=1, score=False)]
        ['MgO', 'NaCl']
        >>> generate(smiles="CCO")[0].structure.to_smiles()
        'CCO'
    """
    _check_keywords(settings)
    makes = kind_of_request(requests, model, kind, smiles, smiles_file, scaffold)
    fields = only_given(
        formula=formula,
        z=z,
        n_atoms=n_atoms,
        elements=elements,
        must_contain=must_contain,
        chemical_system=chemical_system,
        charge_balanced=charge_balanced or None,
        space_group=space_group,
        crystal_system=crystal_system,
        template=template,
        properties=properties,
        min_distance=min_distance,
        volume_per_atom=volume_per_atom,
        density=density,
        distinct=distinct if isinstance(distinct, str) and not scan else None,
        pxrd=None if pxrd is None else str(pxrd),
    )
    of_molecules = only_given(
        smiles=smiles,
        smiles_file=smiles_file,
        scaffold=scaffold,
        attach=attach or None,
        largest_fragment=largest_fragment or None,
    )
    named = model if isinstance(model, str | Path) else None if model is not None else BUNDLED[makes]
    known = (str(known),) if isinstance(known, str | Path) else tuple(map(str, known or ()))
    scans: Sequence[Scan | TypeScan] = ()
    wanted: Sequence[CrystalRequest] | Sequence[MoleculeRequest]
    if makes is MoleculeRequest:
        wanted = molecule_requests_of(requests, fields, of_molecules)
    else:
        if of_molecules:
            raise UserError(f"{next(iter(of_molecules))}: of molecules", next_step="leave kind='crystal' out")
        wanted, n, scans = expand(
            crystal_requests(requests, fields),
            n,
            named or str(getattr(model, "name", "")),
            retrieve_from,
            known=known,
            hull=hull,
            seed=seed,
            scan=scan,
            limit=scan_limit,
            distinct=distinct if isinstance(distinct, str) else None,
        )
        for each in scans:
            if isinstance(each, TypeScan) and each.shortage is not None:
                warnings.warn(each.shortage, stacklevel=2)
    clean_up = relax if isinstance(relax, str) else None
    decoding = settings | only_given(
        steps=steps,
        solver=solver,
        temperature=temperature,
        guidance=guidance,
        within=within,
        symbol_temperature=symbol_temperature,
        redraws=redraws,
        draws_per_atom=draws_per_atom,
        repairs=repairs,
        settle=settle,
        relax=None if clean_up == "xtb" else clean_up,
    )
    drawing: Any = model if model is not None else BUNDLED[makes]
    of_pattern = only_given(wavelength=None if wavelength is None else str(wavelength), axis=axis)
    chosen = ranking or ranking_of(
        stable=stable,
        candidates=candidates,
        by=rank_by,
        potential=potential,
        energy_scheme=energy_scheme,
        relax=None if clean_up else relax,
        fix_symmetry=fix_symmetry or None,
        pressures=pressures_of(pressure),
        hull=hull,
        predictor=predictor,
        **of_asking(drawing, rank_by, of_pattern),
    )
    of_conformers = _ensemble_of(wanted, clean_up, window, distinct, ranked=chosen is not None)
    # a ranking in one object says it for both, what ranks and what is asked
    measured_at = of_pattern.get("wavelength", chosen.wavelength if chosen else None)
    measured_along = of_pattern.get("axis", chosen.axis if chosen else None)
    if pxrd is not None:
        check_pattern(pxrd, chosen, drawing, measured_at, measured_along)
    options = RunSettings(
        n=n,
        model=str(named or BUNDLED[makes]),
        retrieve_from=None if retrieve_from is None else str(retrieve_from),
        exclude_formula=exclude_formula,
        known=known,
        parents=parents if isinstance(parents, Parents | None) else read_parents(parents),
        scans=scans,
        decoding=decoding,
        seed=seed,
        score=score,
        batch_size=batch_size or (256 if makes is MoleculeRequest else 512),
        device=device,
        wavelength=measured_at,
        axis=measured_along,
    )
    shown = in_notebook() if progress is None else progress
    if out is None:
        of_folders = only_given(
            format=format, cif=None if cif else cif, symprec=symprec, picture=picture, page=page, stable=stable
        )
        if of_folders:
            name = next(iter(of_folders))
            raise UserError(f"{name}: of a run folder", next_step="say out=FOLDER too, or samples.write(FOLDER)")
        samples = _in_memory(wanted, options, model, chosen, of_conformers, workers, shown)
    else:
        if isinstance(model, Generator):
            raise UserError("a run folder names its model", got=model.name, wanted="its name or folder")
        rules = stable_rules(
            stable,
            len(wanted),
            hull,
            potential,
            energy_scheme,
            device,
            draws=draws,
            known_formulas=known_formulas,
            ranked=chosen is not None,
        )
        samples = _in_folder(
            wanted,
            Path(out),
            options,
            chosen,
            of_conformers,
            rules,
            workers,
            shown,
            format,
            cif,
            symprec,
            picture,
            page,
        )
    warn_of_poor_fits(samples)
    if failed := samples.failed:
        first = failed[0].reason
        warnings.warn(f"{len(failed)} of {len(samples)} samples failed; the first: {first}", stacklevel=2)
    return samples


def _ensemble_of(
    wanted: Sequence[Request], relax: str | None, window: float | None, distinct: str | float | None, *, ranked: bool
) -> EnsembleSettings | None:
    """What is to be done with conformers; ``distinct`` is a word of crystals, or a distance."""
    apart = None if distinct is None or isinstance(distinct, str) else float(distinct)
    if all(isinstance(each, MoleculeRequest) for each in wanted):
        height = None if window is None else float(window)
        return ensemble_settings(wanted, relax, height, apart, ranked=ranked)
    if window is not None or apart is not None:
        raise UserError("window, and a distance of distinct ones, are of conformers", next_step="give smiles=")
    return None


def _check_keywords(given: Iterable[str]) -> None:
    """Of what is no keyword of `generate`, whether it is a setting of any model; a model of its own says the rest."""
    families = (*FAMILIES, *UNLEARNED.values())
    names = {each.name for family in families for settings in family.settings.values() for each in fields_of(settings)}
    for name in given:
        if name not in names:
            own = [each for each in signature(generate).parameters if each != "settings"]
            step = did_you_mean(name, [*own, *sorted(names)]) or "see help(unigen.generate)"
            raise UserError("generate: no such keyword", got=name, next_step=step)


def _in_memory(
    wanted: Sequence[Request],
    options: RunSettings,
    model: Any,
    ranking: RankSettings | None,
    ensemble: EnsembleSettings | None,
    workers: int | None,
    progress: bool,
) -> Samples:
    relaxed = None if ensemble is None else open_relaxed(ensemble)  # what is missing is said before anything is drawn
    if isinstance(model, Generator):
        if options.decoding:
            name = next(iter(options.decoding))
            raise UserError(f"{name}: a generator has its own settings", next_step="give them to unigen.load")
        generator = model
    else:
        generator = options.load("molecules" if isinstance(wanted[0], MoleculeRequest) else "crystals")
    _warn(line for request in wanted for line in remarks(generator, request))
    several: Any = wanted
    samples = draw(
        several,
        n=options.n,
        model=generator,
        seed=options.seed,
        ranking=ranking,
        workers=workers,
        batch_size=options.batch_size,
        device=options.device,
        progress=progress,
        wavelength=options.wavelength,
        axis=options.axis,
    )
    if ensemble is not None:
        with Workers(workers, progress=progress) as pool:
            samples = make_ensembles(samples, ensemble, pool, relaxed)
    known = options.known_formulas
    for sample in samples:
        sample.facts.update(said_known(known, sample.request.formula))
    return Samples(samples)


def _warn(lines: Iterable[str]) -> None:
    """Values outside the training data and parents that fit nothing, which the command line prints."""
    for line in dict.fromkeys(lines):
        if line.startswith(("warning", "parent")):
            warnings.warn(line.removeprefix("warning: "), stacklevel=4)


def _in_folder(
    wanted: Sequence[Any],
    out: Path,
    options: RunSettings,
    ranking: RankSettings | None,
    ensemble: EnsembleSettings | None,
    rules: StableRules | None,
    workers: int | None,
    progress: bool,
    format: str | Sequence[str] | None,  # noqa: A002
    cif: bool,
    symprec: float | None,
    picture: bool | None,
    page: bool | None,
) -> Samples:
    from rich.console import Console

    if options.parents is not None or any(request.properties for request in wanted):
        generator = options.load("molecules" if isinstance(wanted[0], MoleculeRequest) else "crystals")
        _warn([*parent_remarks(generator, wanted), *(line for each in wanted for line in remarks(generator, each))])
    # says nothing, and shows the bars
    console = Console(quiet=True, force_jupyter=False) if progress else None
    draw_picture, write_page = picture is not False, page is not False
    if isinstance(wanted[0], MoleculeRequest):
        if format is not None or symprec is not None:
            raise UserError("format and symprec are of crystals", next_step="leave them out")
        run_molecules(
            wanted, out, options, ranking, workers, console, ensemble=ensemble, picture=draw_picture, page=write_page
        )
    else:
        formats = formats_of(format, cif=cif)
        run_crystals(
            wanted,
            CrystalFolder(out, symprec=symprec, formats=formats),
            options,
            ranking,
            rules,
            workers,
            console,
            picture=draw_picture,
            page=write_page,
        )
    return open_run(out)
