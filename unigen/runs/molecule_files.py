"""The folder of a run of molecules: beside the journal ``samples.sdf`` with bonds, charges and what was asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unigen.data.left_out import by_reason
from unigen.disk import durable_text
from unigen.elements import ATOMIC_NUMBER, SYMBOLS
from unigen.models.generator import Sample
from unigen.molecules.ensemble import ENERGY, RELATIVE, WEIGHT, is_left_out
from unigen.molecules.molecule import Molecule
from unigen.molecules.stereoisomers import not_compared, smiles_as_asked
from unigen.request import MoleculeRequest
from unigen.runs.folder import Row, RunFolder, file_names, was_made
from unigen.runs.tables import molecules_table
from unigen.sample.ensemble import ENERGY_DIGITS, FACTS, SMILES

if TYPE_CHECKING:
    from rich.console import Console

SDF = "samples.sdf"
_DIGITS = 5


class MoleculeFolder(RunFolder):
    """A run folder of molecules."""

    kind, noun = "molecules", "molecule"
    written = ("n", "model", "drawing", "seed", "device")
    decoding = "drawing"
    tools = ("torch", "numpy", "rdkit")
    tells = ("smiles", "formula", "smallest_distance", "request", "seed", "model")

    @staticmethod
    def row_of(sample: Sample[MoleculeRequest, Molecule]) -> Row:
        """See RunFolder."""
        request, molecule = sample.request, sample.structure
        request_fields = request.to_dict()
        if "scaffold" in request_fields:
            request_fields["scaffold"] = True  # its text stands in run.yaml
        row: Row = {
            "id": request.id or request.smiles or request.formula or "de_novo",
            "request_index": sample.request_index,
            "index": sample.index,
            "request": request_fields,
            "seed": sample.seed,
            "model": sample.model,
        }
        row |= sample.source
        told = {name: sample.facts[name] for name in FACTS if name in sample.facts}
        row |= {
            name: round(value, ENERGY_DIGITS) if isinstance(value, float) else value for name, value in told.items()
        }
        if sample.ranking:
            row["ranking"] = sample.ranking
        if molecule is None:
            which = {SMILES: sample.facts[SMILES]} if SMILES in sample.facts else {}
            return row | which | {"reason": sample.reason}
        if request.smiles is None:
            smiles = molecule.to_smiles()
        else:
            piece = request.largest_fragment
            # isotopes, the hands of axes: said with every sample that was asked to have them
            left_out = not_compared(request.smiles, largest_fragment=piece)
            row |= {"not_compared": list(left_out)} if left_out else {}
            smiles = smiles_as_asked(molecule.to_rdkit(), request.smiles, largest_fragment=piece)
        return row | {
            "smiles": smiles,
            "formula": molecule.formula,
            "smallest_distance": round(molecule.closest_pair()[2], _DIGITS) if len(molecule) > 1 else None,
            "molecule": {
                "elements": [SYMBOLS[number] for number in molecule.numbers.tolist()],
                "positions": molecule.positions.round(_DIGITS).tolist(),
                "bonds": molecule.bonds.tolist(),
                "charges": molecule.charges.tolist(),
            },
        }

    def structure_of(self, row: Row) -> Molecule | None:
        """See RunFolder."""
        molecule = molecule_of(row)
        if molecule is not None:
            molecule.to_sdf()  # raises where its text, a charge or a bond was damaged
        return molecule

    def sample_of(self, row: Row, request: MoleculeRequest) -> Sample[MoleculeRequest, Molecule]:
        """See RunFolder."""
        own = {*self.tells, *FACTS, "id", "request_index", "index", "molecule", "reason", "ranking", "not_compared"}
        return Sample(
            structure=molecule_of(row),
            request=request,
            request_index=row["request_index"],
            index=row["index"],
            seed=row["seed"],
            model=row["model"],
            log_likelihood=None,
            score=0.0,
            reason=row.get("reason", ""),
            source={name: value for name, value in row.items() if name not in own},
            ranking=row.get("ranking", {}),
            facts={name: row[name] for name in (*FACTS, *[SMILES] * is_left_out(row)) if name in row},
        )

    def write_structures(self, rows: Sequence[Row]) -> None:
        """See RunFolder."""
        with durable_text(self.path / SDF) as file:
            for name, row in zip(file_names(rows), rows, strict=True):
                molecule = molecule_of(row)
                assert molecule is not None
                file.write(molecule.to_sdf(name=name))

    def print_summary(self, rows: Sequence[Row], console: Console) -> None:
        """See RunFolder; with how many were drawn again, and what became of those that were cleaned up."""
        made = [row for row in rows if was_made(row)]
        failed = [row for row in rows if not was_made(row)]
        console.print(molecules_table(made, len(made), console.width))
        redraws = [row["redraws"] for row in rows if "redraws" in row]
        redrawn = f", {len(redraws)} of {len(rows)} drawn again (another stereo, or broken)" if redraws else ""
        if repaired := sum("repairs" in row for row in rows):
            redrawn += f", {repaired} repaired (taken back to where it had gone wrong)"
        if moved := sum("settled" in row for row in rows):
            redrawn += f", {moved} settled (a harmonic pass)"
        counts = f"{len(made)} molecules{redrawn}, {len(failed)} dropped"
        if failed:
            kinds = by_reason(("", row["reason"]) for row in failed)
            counts += f" ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"
        console.out(f"{counts}; written to {self.path / SDF}", highlight=False)
        if turned := sum("imines_turned" in row for row in made):
            console.out(f"hydrogen of C=N-H put on the side that is asked for: {turned}", highlight=False)
        for words, count in Counter(words for row in made for words in row.get("not_compared", ())).items():
            console.out(f"asked for but not compared, {words}: {count}", highlight=False)
        if cleaned := Counter(row["relaxed"] for row in made if "relaxed" in row):
            console.out(", ".join(f"{ending}: {count}" for ending, count in cleaned.items()), highlight=False)
        if failed:
            reason = f"why, for the first: {failed[0]['id']}: {failed[0]['reason']}"
            console.out(reason, highlight=False)


_IN_FILES = (ENERGY, RELATIVE, WEIGHT)
"""Facts of a conformer that its entry in an SD file has."""


def molecule_of(row: Mapping[str, Any]) -> Molecule | None:
    """The molecule of a journal line, with what was asked for, predicted or computed; None for a failed sample."""
    if "molecule" not in row:
        return None
    fields, ranking = row["molecule"], row.get("ranking", {})
    asked = {f"{name}_asked": float(value) for name, value in row["request"].get("properties", {}).items()}
    # without the unit, which stands behind the name
    named = {name.partition(" (")[0]: value for name, value in ranking.items()}
    predicted = {name: float(value) for name, value in named.items() if name.endswith("_predicted")}
    return Molecule(
        np.array([ATOMIC_NUMBER[symbol] for symbol in fields["elements"]]),
        np.array(fields["positions"], dtype=np.float64),
        np.array(fields["bonds"], dtype=np.int64).reshape(-1, 3),
        np.array(fields["charges"], dtype=np.int64),
        asked | predicted | {name: float(row[name]) for name in _IN_FILES if name in row},
        row["smiles"],
    )
