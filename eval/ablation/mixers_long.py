"""Which pattern of mixers serves long prompts? Molecules asked for by a property, known ones with nearby values before.

python eval/ablation/mixers_long.py --out mixers-long.json

Small models of the family of ``configs/qm9.yaml``, trained from nothing on the half of QM9 that the judge has not seen.
Every hydrogen is written in the SMILES, and four molecules with the nearest values stand in the prompt with their atoms
in space: 450 tokens a molecule, against 90 without the four. Parameters and CPU time are equal as in ``mixers.py``,
where the cost of a step is measured as here; attention without examples, at as much CPU time, is the row to beat.

Judged by the validation losses of what is written (nats a symbol) and drawn (denoising loss of the atoms), of the same
molecules in the same SMILES for every row; and by molecules asked for by the polarizability and by the gap of real ones
of QM9 test: the error of the property by the bundled predictor as in ``unigen evaluate conditional``, how many are
stable by EDM's look-up, and how many of those drawn are known from training, as all of the prompt are. No number here
is that of a bundled model, which is larger and trained for longer. A run that is cut off goes on with what its file
lacks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from mixers import CONFIGS, begun, costs, equal_width, fill, parameters_of, table, validation_batches
from rich.console import Console

from unigen.config import load as load_config
from unigen.data.dataset_file import resolve_dataset
from unigen.data.molecule_store import open_molecules
from unigen.disk import write_text
from unigen.eval.molecules.conditional import evaluate_conditional
from unigen.eval.molecules.evaluate import evaluate_molecules
from unigen.eval.molecules.samples import MoleculeEntry
from unigen.molecules.molecule import Molecule
from unigen.request import MoleculeRequest
from unigen.sample.generate import generate
from unigen.sample.load import load
from unigen.sample.predict import load_predictor
from unigen.train.run import train
from unigen.train.settings import TrainConfig

LAYERS, WIDTH, HEADS, EXAMPLES = 3, 64, 4, 4
ATTENTION, WITHOUT = "attention", "attention, no examples"
PATTERNS: dict[str, tuple[str, ...]] = {
    ATTENTION: ("attention",) * LAYERS,
    WITHOUT: ("attention",) * LAYERS,
    "ssd": ("ssd",) * LAYERS,
    "ssd, attention last": ("ssd",) * (LAYERS - 1) + ("attention",),
    "delta_product, attention last": ("delta_product",) * (LAYERS - 1) + ("attention",),
    "lightnet, attention last": ("lightnet",) * (LAYERS - 1) + ("attention",),
    "para_rnn, attention last": ("para_rnn",) * (LAYERS - 1) + ("attention",),
}
USUAL = tuple(PATTERNS)[:5]
"""What is trained unless others are asked for."""
SMALL = (
    *(
        "model.max_atoms=32",
        "model.properties=[alpha, gap]",
        "model.units=[bohr^3, hartree]",
        "model.hydrogens=written",
    ),
    *("model.head_width=96", "model.head_blocks=2", "model.context_width=32"),
    *("data.batch_size=8", "optim.warmup_steps=50", "optim.ema_decay=0.99", "compile=false", "threads=1"),
    "optim.symbol_weight=1.0",
)
"""Of a few minutes small batches make the most. At batches of 32 attention with examples has validation losses of .45
nats a symbol and .25 a vector after 345 CPU-seconds; without, at 8 and with symbols weighted as vectors, .35 and .22
after 86."""
ASKED = {"alpha": 200, "gap": 200}
"""Molecules asked for by each property."""
REFERENCES, VALIDATED = 500, 512
"""Molecules of the test set that the judge's own error is measured on, and of the validation set."""
PROBES = 80
"""Batches on which the cost of a step is measured: those of eight differ more than the larger ones of ``mixers.py``,
and those without examples more than those with."""
HALF = 2
"""Of the training molecules: the judge was trained on the other."""


def width_of(name: str) -> int:
    """Of a pattern, by its name."""
    wanted = parameters_of(PATTERNS[ATTENTION], WIDTH)
    return equal_width(PATTERNS[name], wanted)


def config_of(name: str, half: Path, changes: Sequence[str] = ()) -> TrainConfig:
    """How a pattern is trained."""
    sizes = [f"model.mixers=[{', '.join(PATTERNS[name])}]", f"model.width={width_of(name)}", f"model.heads={HEADS}"]
    sizes += [f"model.examples={0 if name == WITHOUT else EXAMPLES}", f"data.train={half}"]
    return load_config(TrainConfig, CONFIGS / "qm9.yaml", [*SMALL, *sizes, *changes])


def training_half(out: Path) -> Path:
    """The molecules of qm9:train whose properties may be shown, as a dataset of their own beside the results."""
    half = out.with_name(f"{out.stem}-half.parquet")
    if not half.exists():
        table = pq.read_table(resolve_dataset("qm9", "molecules")[0])
        kept = pc.and_(pc.equal(table["split"], "train"), pc.equal(table["half"], float(HALF)))
        pq.write_table(table.filter(kept), half)
    return half


def validation_losses(config: TrainConfig, folder: Path) -> dict[str, float]:
    """Of the first validation molecules in a fixed order, every model the same ones in the same SMILES."""
    model = load(folder).model
    found: list[dict[str, float]] = []
    for place, batch in enumerate(validation_batches(config, VALIDATED)):
        generator = torch.Generator().manual_seed(place * config.data.batch_size)
        with torch.no_grad():
            losses = model.validated(batch, generator)
        found.append({name: float(value) for name, value in losses.items()})
    return {name: round(statistics.mean(one[name] for one in found), 4) for name in found[0]}


def asked_for(folder: Path, half: Path, seed: int) -> dict[str, float]:
    """Molecules asked for by a property: its error, and what they are."""
    generator, test = load(folder), open_molecules("qm9:test")
    rows = np.random.default_rng(0).permutation(len(test))
    references = [test[int(row)] for row in rows[:REFERENCES]]
    predictor = load_predictor("unigen-qm9-predictor")
    drawn: list[Molecule] = []
    found: dict[str, float] = {}
    entries: list[MoleculeEntry] = []
    for name, count in ASKED.items():
        requests = [MoleculeRequest(properties={name: one.properties[name]}) for one in references[:count]]
        samples = generate(requests, model=generator, seed=seed, workers=1)
        asked = [
            MoleculeEntry(str(n), sample.structure, reason=sample.reason, requested=request.properties)
            for n, (sample, request) in enumerate(zip(samples, requests, strict=True))
        ]
        report = evaluate_conditional(asked, references, predictor)
        found |= {f"mae_{name}": round(report[f"mae.{name}"] or float("nan"), 4)}
        drawn += [sample.structure for sample in samples if sample.structure is not None]
        entries += asked
    report = evaluate_molecules(entries, workers=1)
    names = {"molecules_stable": "edm.molecule_stable", "valid": "rdkit.valid"}
    found |= {name: round(100 * (report[key] or 0.0), 1) for name, key in names.items()}
    known = set(open_molecules(half).smiles.tolist())
    return found | {"known_of_drawn": round(100 * statistics.mean(one.to_smiles() in known for one in drawn), 1)}


def trained(name: str, half: Path, steps: int, seed: int) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away, and what came of it."""
    with TemporaryDirectory() as folder:
        changes = [f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}/run"]
        config = config_of(name, half, changes)
        start = time.process_time()
        model = train(config)
        taken = round(time.process_time() - start, 1)
        judged = validation_losses(config, model) | asked_for(model, half, seed)
    return {"steps": steps, "width": width_of(name), "cpu_seconds": taken} | judged


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=1000, help="of attention with examples")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pattern", action="append", choices=list(PATTERNS), dest="patterns")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    half = training_half(options.out)
    facts = {"steps_of_attention": options.steps, "examples": EXAMPLES, "layers": LAYERS}
    content = begun(options.out, {**facts, "cost_of_a_step": {}, "runs": {}})
    patterns = options.patterns or USUAL
    # a pattern that is added later is measured against attention, too
    unmeasured = [name for name in patterns if name not in content["cost_of_a_step"]]
    if unmeasured:
        measured = costs({name: config_of(name, half) for name in dict.fromkeys([ATTENTION, *unmeasured])}, PROBES)
        content["cost_of_a_step"] = measured | content["cost_of_a_step"]
        write_text(options.out, json.dumps(content, indent=1) + "\n")
        print(content["cost_of_a_step"], flush=True)

    def run(name: str, seed: int) -> dict[str, Any]:
        return trained(name, half, round(content["steps_of_attention"] / content["cost_of_a_step"][name]), seed)

    fill(options.out, content, patterns, options.seeds, run)
    Console(width=200).print(table(PATTERNS, content["runs"]))


if __name__ == "__main__":
    main()
