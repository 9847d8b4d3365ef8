"""The drugs of the benchmark of conformers are what their names say, by formula and stereocentres that are told."""

from __future__ import annotations

from pathlib import Path

from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula

from unigen.config import read_yaml

ROOT = Path(__file__).resolve().parents[2]

FORMULAS = {
    "aspirin": "C9H8O4",
    "paracetamol": "C8H9NO2",
    "ibuprofen": "C13H18O2",
    "caffeine": "C8H10N4O2",
    "fluoxetine": "C17H18F3NO",
    "clopidogrel": "C16H16ClNO2S",
    "penicillin-G": "C16H18N2O4S",
    "omeprazole": "C17H19N3O3S",
    "celecoxib": "C17H14F3N3O2S",
    "sildenafil": "C22H30N6O4S",
    "imatinib": "C29H31N7O",
    "atorvastatin": "C33H35FN2O5",
}
"""As every pharmacopoeia has them."""

CENTRES = {
    "ibuprofen": {"S"},
    "clopidogrel": {"S"},
    "penicillin-G": {"S", "R"},  # 2S,5R,6R
    "atorvastatin": {"R"},  # 3R,5R
}


def test_formulas_and_centres():
    drugs = {name: Chem.MolFromSmiles(text) for name, text in read_yaml(ROOT / "eval/conformers/drugs.yaml").items()}
    assert {name: CalcMolFormula(mol) for name, mol in drugs.items()} == FORMULAS
    told = {name: {label for _, label in Chem.FindMolChiralCenters(mol)} for name, mol in drugs.items()}
    assert {name: labels for name, labels in told.items() if labels} == CENTRES
