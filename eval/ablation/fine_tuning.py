"""What `unigen finetune` gains, and what it forgets: 300 structures of a chemistry that the bundled models do not know.

unigen data build perov-5
python eval/ablation/fine_tuning.py perov-5 --only crystals --work FOLDER      (or: property, molecules)

crystals: perovskites with two kinds of anions (N, O, F, S) of Perov-5's validation split; the same of other formulas of
its test split judge the result. property: the same crystals, heat of formation asked for. molecules: those of RDKit's
NCI collection with sulfur or chlorine, 6 to 12 heavy atoms, ETKDG and MMFF94; others judge. Everything is drawn by the
seed. Written to eval/results/finetune/.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import time
from pathlib import Path

import numpy as np
import rdkit
from rdkit import Chem, RDLogger
from rdkit.Chem import AllChem

from unigen.data.crystal_store import open_crystals
from unigen.eval.report import provenance

RESULTS = Path(__file__).resolve().parents[1] / "results" / "finetune"
ANIONS = {7, 8, 9, 16}
COUNT = 300
KINDS = ("crystals", "property", "molecules")
BASE = {"crystals": "unigen-crystal-small", "property": "unigen-crystal-small", "molecules": "unigen-molecule-small"}
ELEMENTS = {"C", "N", "O", "F", "S", "Cl"}
HEAVY = range(6, 13)


def write_crystals(dataset: str, folder: Path, seed: int, without: set[str]) -> set[str]:
    """CIFs of crystals with two kinds of anions, one a formula, and a CSV of their property; their formulas."""
    crystals = open_crystals(dataset)
    folder.mkdir(parents=True, exist_ok=True)
    chosen: dict[str, int] = {}
    for row in np.random.default_rng(seed).permutation(len(crystals)).tolist():
        crystal = crystals[row]
        formula = crystal.reduced_formula
        if len(ANIONS & {*crystal.numbers.tolist()}) > 1 and formula not in without and formula not in chosen:
            chosen[formula] = row
        if len(chosen) == COUNT:
            break
    with (folder / "properties.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "heat_all"])
        for row in chosen.values():
            name = str(crystals.ids[row])
            crystals[row].to_cif(folder / f"{name}.cif")
            rows.writerow([name, crystals[row].properties["heat_all"]])
    return {*chosen}


def write_molecules(path: Path, seed: int, skip: int) -> None:
    """SDF of molecules with sulfur or chlorine; ``skip`` of them are left to another file."""
    RDLogger.DisableLog("rdApp.*")
    lines = (Path(rdkit.__file__).parent / "Data/NCI/first_5K.smi").read_text(encoding="utf-8").splitlines()
    seen: set[str] = set()
    with Chem.SDWriter(str(path)) as writer:
        for line in np.random.default_rng(seed).permutation(lines).tolist():
            mol = Chem.MolFromSmiles(line.split()[0])
            symbols = {atom.GetSymbol() for atom in mol.GetAtoms()} if mol else set()
            if not symbols <= ELEMENTS or not symbols & {"S", "Cl"} or mol.GetNumHeavyAtoms() not in HEAVY:
                continue
            smiles = Chem.MolToSmiles(mol)
            charged = any(atom.GetFormalCharge() or atom.GetNumRadicalElectrons() for atom in mol.GetAtoms())
            whole = Chem.AddHs(mol)
            if "." in smiles or charged or smiles in seen or AllChem.EmbedMolecule(whole, randomSeed=seed):
                continue
            if AllChem.MMFFOptimizeMolecule(whole, maxIters=2000):
                continue
            seen.add(smiles)
            whole.SetProp("_Name", line.split()[1])
            if len(seen) > skip:
                writer.write(whole)
            if len(seen) == skip + COUNT:
                return


def run(*command: object) -> None:
    """A command of ours, which must succeed."""
    print("unigen", *command, flush=True)
    subprocess.run(["unigen", *map(str, command)], check=True)


def judged_crystals(
    name: str, model: str | Path, known: Path | None, test: Path, work: Path, seed: int
) -> dict[str, float]:
    """Match rate and RMSE of one sample a crystal of the test set; by another table of known structures, if given."""
    out = work / f"test-{name}"
    requests = work / "test.csv"
    run("data", "build", "finetune-test", "--from", test)
    run("data", "requests", "finetune-test", "--out", requests)
    quiet = ("--no-score", "--no-cif", "--no-page", "--no-picture")
    table = () if known is None else ("--retrieve-from", known)
    run("generate", "crystal", "--model", model, *table, "--requests", requests, "--seed", seed, *quiet, "--out", out)
    report = work / f"test-{name}.json"
    run("evaluate", "crystals", out, "--reference", "finetune-test", "--protocol", "csp", "--no-page", "--out", report)
    metrics = json.loads(report.read_text(encoding="utf-8"))["metrics"]
    return {key: metrics[key]["value"] for key in ("match_rate.k1", "rmse.k1")}


def judged_molecules(model: str | Path, test: Path, work: Path, seed: int) -> dict[str, float]:
    """Coverage and matching of two conformers a molecule of the test set."""
    out = work / "test-molecules"
    smiles = work / "test.smi"
    molecules = [(Chem.MolToSmiles(Chem.RemoveHs(mol)), mol) for mol in Chem.SDMolSupplier(str(test))]
    lines = [f"{text} {mol.GetProp('_Name')}" for text, mol in molecules]
    smiles.write_text("\n".join(lines) + "\n", encoding="utf-8")
    asked = ("--smiles-file", smiles, "--n", 2, "--seed", seed, "--no-page", "--no-picture")
    run("generate", "molecule", "--model", model, *asked, "--out", out)
    report = work / "test-molecules.json"
    run("evaluate", "conformers", out, "--reference", test, "--no-page", "--out", report)
    metrics = json.loads(report.read_text(encoding="utf-8"))["metrics"]
    return {key: each["value"] for key, each in metrics.items() if each.get("value") is not None}


def main() -> None:
    """Make the data, fine-tune, judge, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("perovskites", help="dataset, built from the recipe perov-5")
    parser.add_argument("--only", choices=KINDS, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kind, work = options.only, options.work
    work.mkdir(parents=True, exist_ok=True)
    tuned = work / f"tuned-{kind}"
    if kind == "molecules":
        data, test = work / "sulfur.sdf", work / "sulfur-test.sdf"
        write_molecules(data, options.seed, 0)
        write_molecules(test, options.seed, COUNT)
        asked: tuple[str, ...] = ()
    else:
        data, test = work / "oxynitrides", work / "oxynitrides-test"
        formulas = write_crystals(f"{options.perovskites}:val", data, options.seed, set())
        write_crystals(f"{options.perovskites}:test", test, options.seed, formulas)
        asked = ("--property", "heat_all", "--unit", "eV") if kind == "property" else ()
    started = time.monotonic()
    run("finetune", BASE[kind], "--data", data, *asked, "--seed", options.seed, "--overwrite", "--out", tuned)
    minutes = (time.monotonic() - started) / 60
    result = json.loads((tuned / "finetune.json").read_text(encoding="utf-8"))
    result["minutes"] = round(minutes, 1)
    if kind == "crystals":
        base, joined = BASE[kind], tuned / "relatives" / "templates.parquet"
        models = {"before": (base, None), "relatives": (base, joined), "after": (tuned / "model", None)}
        judged = {name: judged_crystals(name, *each, test, work, options.seed) for name, each in models.items()}
        result["test"] = judged | {"of": COUNT}
    elif kind == "molecules":
        result["test"] = {"after": judged_molecules(tuned / "model", test, work, options.seed), "of": COUNT}
    command = result.pop("command").replace(f"{work}/", "")
    written = {"command": command, "provenance": provenance(BASE[kind]), **result}
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{kind}.json"
    path.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(path)


if __name__ == "__main__":
    main()
