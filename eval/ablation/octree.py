"""How to write an octree, and is it worth it? Variants and the other families, the same CPU time each.

python eval/ablation/octree.py molecules --out octree-molecules.json
python eval/ablation/octree.py crystals --out octree-crystals.json
python eval/ablation/octree.py denovo --out octree-denovo.json

Small models, trained from nothing: the family that we have takes ``--steps`` steps, anything else as many as take the
same CPU time, which is measured first, all in turns on the same structures (as in ``mixers.py``).

Octrees are judged by ``nats``: how likely 512 validation structures are, all told (composition, tree, elements, places
in bins of 0.01 Angstrom; where a place is drawn by the diffusion head, its density times the bin; of crystals with the
density of the lattice in standard deviations). It is the same quantity whatever the octree, so variants compare.
Families compare by what they make: 1,000 molecules from nothing (EDM's look-up, redrawn nowhere), or one sample each
of 500 compositions of MP-20 test (match rate and RMSE; "anew": following no known structure, shown none), or 500
crystals from nothing, held against MP-20 test (percent valid by structure and charges, and unique; distances between
the distributions of density and of the number of elements). No number here is that of a bundled model.

Octrees that are shown neighbours are shown those of the training set when they draw, as the wyckoff model follows them;
to see that they are heard, the same model also draws beside neighbours of another composition ("others'"). Their nats
are of crystals shown with neighbours (of their compositions before these are known), and "alone".

A run that is cut off goes on with what its file lacks. Where that is a row that was not there when costs were measured,
its cost is measured beside the first row, and named in the file (``costs_measured_later``).
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mixers import CONFIGS, begun, costs, fill, match_rate, match_rates, stability, table, validation_batches
from rich.console import Console

from unigen.config import load as load_config
from unigen.eval.crystals.evaluate import evaluate_crystals
from unigen.eval.crystals.samples import CrystalEntry
from unigen.models.checkpoint import load_model
from unigen.models.generator import Generator
from unigen.models.octree.batch import OctreeBatch, Stage
from unigen.models.octree.generator import OctreeCrystalGenerator
from unigen.models.octree.neighbours import Counts, Neighbour
from unigen.models.octree.network import OctreeModel
from unigen.nn.process.solvers import karras_levels, log_likelihood
from unigen.request import CrystalRequest
from unigen.sample.generate import generate
from unigen.sample.load import load
from unigen.train.run import train
from unigen.train.settings import TrainConfig

ALL = (
    *("compile=false", "threads=1", "data.batch_size=32", "optim.warmup_steps=50", "optim.ema_decay=0.99"),
    *("model.mixers=[attention, attention, attention, attention]", "model.width=96", "model.heads=4"),
    *("model.head_width=96", "model.head_blocks=2", "match_structures=0"),
)
"""One thread, so that CPU time is what the arithmetic takes."""
_CRYSTALS = ("data.train=crystal-train:train", "data.val=crystal-train:val", "model.max_atoms=20")
Variant = tuple[str, tuple[str, ...]]
"""A config, and what is changed in it."""
MOLECULES: dict[str, Variant] = {
    "smiles": ("qm9.yaml", ()),
    "octree": ("octree.yaml", ()),
    "octree, full depth": ("octree.yaml", ("model.stops_at_single=false",)),
    "octree, doubled": ("octree.yaml", ("model.form=doubled",)),
    "octree, diffusion head": ("octree.yaml", ("model.position=continuous",)),
    "octree, order alone": ("octree.yaml", ("model.rotary=order",)),
}
CRYSTALS: dict[str, Variant] = {
    "wyckoff": ("crystal-small.yaml", ("model.reranker_width=48", "model.max_orbits=20")),
    "words": ("hybrid.yaml", ()),
    "octree": ("octree-crystals.yaml", ()),
    "octree, full depth": ("octree-crystals.yaml", ("model.stops_at_single=false",)),
    "octree, doubled": ("octree-crystals.yaml", ("model.form=doubled",)),
    "octree, diffusion head": ("octree-crystals.yaml", ("model.position=continuous",)),
    "octree, neighbours": ("octree-crystals-neighbours.yaml", ()),
    "octree, full depth, neighbours": ("octree-crystals-neighbours.yaml", ("model.stops_at_single=false",)),
}
DE_NOVO = {name: CRYSTALS[name] for name in ("wyckoff", "words", "octree", "octree, full depth")}
VARIANTS = {"molecules": MOLECULES, "crystals": CRYSTALS, "denovo": DE_NOVO}
SHARES = ("structure_valid", "composition_valid", "valid", "unique")
DISTANCES = ("w_density", "w_elements")
"""Of the protocol denovo: what is told of crystals from nothing."""
VALIDATED = 512
"""Structures of the validation set whose likelihood is told."""
SOLVER_STEPS = 24
"""Of the density of a vector."""
PROBES = 40
"""Batches on which the cost of a step is measured."""


def config_of(kind: str, name: str, changes: Sequence[str] = ()) -> TrainConfig:
    """How a variant is trained."""
    path, own = VARIANTS[kind][name]
    return load_config(TrainConfig, CONFIGS / path, [*ALL, *(() if kind == "molecules" else _CRYSTALS), *own, *changes])


@torch.no_grad()
def nats_of_vectors(model: OctreeModel, batch: OctreeBatch, before: torch.Tensor) -> torch.Tensor:
    """Of each structure: minus the log density of its lattice, and the log probability of its places in bins."""
    stage, nats = batch.stage[:, 1:], before.new_zeros(len(batch), dtype=torch.float64)
    heads = []
    if model.config.is_periodic:
        slot = stage == Stage.LATTICE
        lattice = model.embedding.standardise(batch.tokens.vectors[:, 1:][slot])
        heads.append((slot, model.lattice_head, model.lattice_head.context(before[slot]), lattice, None))
    if not model.grid.is_binned:
        leaf = stage == Stage.LEAF
        size = (1 << batch.level[:, 1:][leaf]).double()
        places = (batch.offset[:, 1:][leaf] / size[:, None] - 0.5) * math.sqrt(12)
        context = model.vector_context(before[leaf], batch.element[:, 1:][leaf])
        # in the head's unit a bin is this long along each axis
        bins = 3 * (math.sqrt(12) / (model.config.bins * size)).log()
        heads.append((leaf, model.vector_head, context, places.float(), bins))
    for where, head, context, vectors, volume in heads:
        process = head.process
        levels = karras_levels(SOLVER_STEPS, process.sigma_min, process.sigma_max)
        denoise = partial(head.denoise_with_slopes, context=context)
        found = log_likelihood(denoise, vectors, levels, process.prior_log_prob).double()
        nats.index_add_(0, where.nonzero()[:, 0], -(found if volume is None else found + volume))
    return nats


@torch.no_grad()
def nats(model: OctreeModel, config: TrainConfig) -> float:
    """Of a validation structure, on average; every model is shown the same ones from the same side."""
    found: list[float] = []
    for batch in validation_batches(config, VALIDATED):
        before = model.hidden(batch)[:, :-1]
        found += (nats_of_vectors(model, batch, before) - model.log_likelihoods(batch, before)).tolist()
    return round(statistics.mean(found), 2)


def made_by(kind: str, folder: Path, retrieve_from: str, seed: int) -> dict[str, float]:
    """What a trained model makes."""
    family = load_model(folder).config.kind
    if kind == "molecules":
        return stability(load(folder, score=False, **({"redraws": 0} if family == "molecule" else {})), seed)
    if kind == "denovo":
        known = {"retrieve_from": retrieve_from} if family == "wyckoff" else {}
        return from_nothing(load(folder, score=False, **known), seed)
    if family == "wyckoff":
        return match_rates(folder, retrieve_from, seed)
    network = load_model(folder)
    if not isinstance(network, OctreeModel) or not network.config.most_neighbours:
        return dict(zip(("match_anew", "match_anew_rmse"), match_rate(load(folder, score=False), seed), strict=True))
    found: dict[str, float] = {}
    for name, shown in {"match": None, "match_anew": nothing, "match_others": others}.items():
        generator = load(folder, score=False, retrieve_from=retrieve_from)
        assert isinstance(generator, OctreeCrystalGenerator)
        assert generator.known is not None, "a model that is shown neighbours"
        if shown is not None:
            generator.known.shown = shown(generator.known.shown)  # type: ignore[method-assign]
        found[name], found[f"{name}_rmse"] = match_rate(generator, seed)
    return found


Lookup = Callable[[Counts, int], list[Neighbour]]
"""Of a cell and how many samples of it came before, what it is shown."""


def nothing(_lookup: Lookup) -> Lookup:
    """A look-up that finds nothing."""
    return lambda _cell, _sample: []


def others(lookup: Lookup) -> Lookup:
    """A look-up that answers with what the cell that was asked for before was shown."""
    before: list[Neighbour] = []

    def shown(cell: Counts, sample: int) -> list[Neighbour]:
        found, before[:] = [*before], lookup(cell, sample)
        return found

    return shown


def from_nothing(generator: Generator, seed: int) -> dict[str, float]:
    """Of 500 crystals that nothing is asked of; what was not made is not valid."""
    drawn = generate(CrystalRequest(), n=500, model=generator, seed=seed, workers=1)
    samples = [CrystalEntry(str(index), sample.structure, reason=sample.reason) for index, sample in enumerate(drawn)]
    report = evaluate_crystals(samples, "mp-20:test", "denovo", workers=1)
    shares = {name: round(100 * (report[name] or 0.0), 1) for name in SHARES}
    return shares | {name: round(report[name] or math.nan, 3) for name in DISTANCES}


def trained(kind: str, name: str, steps: int, seed: int) -> dict[str, Any]:
    """One run from scratch, in a folder that is thrown away, and what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        fixed = [f"max_steps={steps}", f"validate_every={steps}", f"seed={seed}", f"out={folder}/run"]
        config = config_of(kind, name, fixed)
        start = time.process_time()
        made = train(config)
        taken = round(time.process_time() - start, 1)
        model = load_model(made).eval()
        judged: dict[str, float] = {}
        if isinstance(model, OctreeModel):
            hidden = {"nats": 0.0, "nats_alone": 1.0} if model.config.most_neighbours else {"nats": None}
            for what, share in hidden.items():
                changes = [] if share is None else [f"model.neighbour_dropout={share}"]
                judged[what] = nats(model, config_of(kind, name, [*fixed, *changes]))
        start = time.process_time()
        judged |= made_by(kind, made, config.data.train, seed)
        drawing = round(time.process_time() - start, 1)
    return {"steps": steps, "cpu_seconds": taken, "cpu_seconds_of_drawing": drawing} | judged


def main() -> None:
    """Train what is missing, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=2000, help="of the first row")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    content = begun(options.out, {"kind": options.kind, "steps": options.steps})
    known = content.get("cost_of_a_step", {})
    first, *rest = VARIANTS[options.kind]
    missing = [name for name in rest if name not in known]
    if missing:
        measured = costs({name: config_of(options.kind, name) for name in (first, *missing)}, PROBES)
        if known:
            content["costs_measured_later"] = [*content.get("costs_measured_later", []), *missing]
        content = {"cost_of_a_step": {}, "runs": {}} | content
        content["cost_of_a_step"] = measured | known
        print(content["cost_of_a_step"], flush=True)

    def run(name: str, seed: int) -> dict[str, Any]:
        return trained(options.kind, name, round(content["steps"] / content["cost_of_a_step"][name]), seed)

    fill(options.out, content, VARIANTS[options.kind], options.seeds, run)
    Console(width=200).print(table(VARIANTS[options.kind], content["runs"]))


if __name__ == "__main__":
    main()
