"""Run folders as the command line and Python fill them: as drawn, ranked, or until so many are stable."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.crystals.powder.axis import Axis
from unigen.disk import alone_in
from unigen.errors import UserError
from unigen.models.generator import Generator, Sample
from unigen.parallel import Workers
from unigen.ranking.settings import RankSettings
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder, crystal_of
from unigen.runs.folder import PICTURE, Row
from unigen.runs.formats import read_formats
from unigen.runs.generation import RunSettings, run_generation
from unigen.runs.molecule_files import MoleculeFolder, molecule_of

if TYPE_CHECKING:
    from rich.console import Console

    from unigen.runs.stable import StableRules
    from unigen.sample.ensemble import EnsembleSettings

DRAWN = 12
"""Samples that the picture of a run shows: as many as can still be told apart on a screen."""


MANY = 2_500
"""Samples from which on all cores check them and write their files: some 15 CPU-seconds, and starting a process takes
one."""


def formats_of(format: str | Sequence[str] | None, *, cif: bool) -> list[str]:  # noqa: A002
    """The formats of a run folder; without ``cif`` no CIF is among them."""
    return [each for each in read_formats(format or None) if cif or not each.startswith("cif")]


def run_crystals(
    wanted: Sequence[CrystalRequest],
    folder: CrystalFolder,
    settings: RunSettings,
    ranking: RankSettings | None = None,
    rules: StableRules | None = None,
    workers: int | None = None,
    console: Console | None = None,
    *,
    picture: bool = True,
    page: bool = True,
) -> list[Row]:
    """A run folder of crystals, ranked, until so many are stable, or as drawn, with its picture and its page.

    Args:
        wanted: the requests.
        folder: of the run.
        settings: how.
        ranking: draw candidates, keep the best.
        rules: draw until so many are stable.
        workers: processes that relax or rate.
        console: for remarks, progress and tables; silent without.
        picture: draw the first samples.
        page: write the page.

    Raises:
        UserError: as `run_generation`.
    """
    out, notes = folder.path, {}
    drawn = len(wanted) * (settings.n if ranking is None else ranking.candidates)
    with alone_in(out), Workers(workers if drawn >= MANY else 1) as folder.workers:
        if rules is not None:  # imported where wanted: a plain run can do without its chemistry
            from unigen.runs.stable import run_stable, stable_notes

            run = run_stable(wanted[0], folder, settings, rules, workers=workers, console=console)
            rows, notes = run.rows, {"notes": stable_notes(run, out, rules)}
        elif ranking is not None:
            from unigen.runs.ranking import CANDIDATES, run_ranking

            candidates = CrystalFolder(out / CANDIDATES, formats=())
            candidates.workers = folder.workers
            rows = run_ranking(wanted, folder, candidates, settings, ranking, workers=workers, console=console)
        else:
            rows = run_generation(wanted, folder, settings, console)
        if picture:
            from unigen.report.pictures.crystals import draw_crystals

            crystals = (crystal for row in rows if (crystal := crystal_of(row)))
            draw_crystals([*islice(crystals, DRAWN)], out / PICTURE)
        if page:
            from unigen.report.generation_page import write_run_page

            write_run_page(out, rows, "crystals", **notes)
    return rows


def run_molecules(
    wanted: Sequence[MoleculeRequest],
    out: Path,
    settings: RunSettings,
    ranking: RankSettings | None = None,
    workers: int | None = None,
    console: Console | None = None,
    *,
    ensemble: EnsembleSettings | None = None,
    picture: bool = True,
    page: bool = True,
) -> list[Row]:
    """A run folder of molecules, ranked, as an ensemble of conformers, or as drawn; see `run_crystals`."""
    folder = MoleculeFolder(out)
    with alone_in(out):
        if ensemble is not None:
            from unigen.runs.ensemble import run_ensemble

            rows = run_ensemble(wanted, folder, settings, ensemble, workers=workers, console=console)
        elif ranking is None:
            rows = run_generation(wanted, folder, settings, console)
        else:
            from unigen.runs.ranking import CANDIDATES, run_ranking

            drawn = MoleculeFolder(out / CANDIDATES)
            rows = run_ranking(wanted, folder, drawn, settings, ranking, workers=workers, console=console)
        if picture:
            from unigen.report.pictures.molecules import draw_molecules

            draw_molecules([molecule for row in rows if (molecule := molecule_of(row))][:DRAWN], out / PICTURE)
        if page:
            from unigen.report.generation_page import write_run_page

            write_run_page(out, rows, "molecules")
    return rows


def only_given(**options: object) -> dict[str, Any]:
    """Those of these options that were given; what a model does not have it refuses, whatever its value."""
    return {name: value for name, value in options.items() if value is not None}


_OF_STABLE = ("potential", "energy_scheme", "hull")
"""Options of ranking by energy that are those of ``--stable`` where that is given."""


def of_asking(model: str | Path | Generator, by: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """Wavelength and axis of powder patterns as `ranking_of` takes them: none where a model is asked and nothing ranks.

    Args:
        model: that draws.
        by: what ranks.
        given: those that were given.
    """
    from unigen.sample.patterns import hears_peaks

    return {} if given and by != "pxrd" and hears_peaks(model) else dict(given)


def ranking_of(*, stable: float | None = None, **options: Any) -> RankSettings | None:
    """How to rank; None where no option asks for it.

    Args:
        stable: as `stable_rules` takes it: potential and hull are its own then.
        options: of RankSettings, None for those that are not given.
    """
    asked = only_given(**options)
    if stable is not None:
        asked = {name: value for name, value in asked.items() if name not in _OF_STABLE}
    if not asked:
        return None
    if set(asked) - {"candidates"} and "by" not in asked:
        name = next(iter(set(asked) - {"candidates"}))
        raise UserError(f"--{name.replace('_', '-')} belongs to ranking", next_step="say --rank-by too")
    return RankSettings(**asked)


def check_pattern(
    pxrd: str | Path,
    ranking: RankSettings | None,
    model: str | Path | Generator,
    wavelength: str | float | None = None,
    axis: Axis | None = None,
) -> list[str]:
    """What is assumed of a powder pattern, before anything is drawn for it.

    Raises:
        UserError: nothing ranks by it and the model cannot be asked for it, or it cannot be read.
    """
    from unigen.crystals.powder.files import read_pattern
    from unigen.sample.patterns import hears_peaks

    if (ranking is None or ranking.by != "pxrd") and not hears_peaks(model):
        step = "say --rank-by pxrd too, or take a model that was trained with model.peaks"
        raise UserError("--pxrd belongs to ranking", next_step=step)
    pattern = read_pattern(Path(pxrd), wavelength=wavelength, axis=axis)
    return [f"{pxrd}: {remark}" for remark in pattern.remarks]


def warn_of_poor_fits(answers: Iterable[Sample]) -> None:
    """A warning for each best answer that is not like the powder pattern it was ranked by."""
    from unigen.ranking.pattern import poor_fits

    best = (each for each in answers if each.ranking.get("rank") == 1)
    for line in poor_fits((each.request.id or each.request.formula or "de_novo", each.ranking) for each in best):
        warnings.warn(line.removeprefix("warning: "), stacklevel=3)


def stable_rules(
    limit: float | None,
    requests: int,
    hull: str | None,
    potential: str | None,
    energy_scheme: str | None,
    device: str,
    *,
    draws: int | None,
    known_formulas: bool,
    ranked: bool,
) -> StableRules | None:
    """What ``--stable`` asks for; None without it."""
    if limit is None:
        if draws or known_formulas:
            raise UserError("--draws and --known-formulas are for --stable", next_step="give --stable, such as 0.1")
        return None
    if hull is None or requests != 1 or ranked:
        got = f"{requests} requests, hull {hull}, {'ranked' if ranked else 'not ranked'}"
        raise UserError("--stable needs one request and a --hull, and ranks nothing", got=got)
    from unigen.energies.hull.hull import Hull
    from unigen.energies.potential import find_potential
    from unigen.runs.stable import StableRules
    from unigen.sample.rank import POTENTIAL

    chosen = find_potential(potential or POTENTIAL, energy_scheme, device)
    return StableRules(
        limit=limit, hull=Hull.open(hull, chosen), potential=chosen, draws=draws, known_formulas=known_formulas
    )
