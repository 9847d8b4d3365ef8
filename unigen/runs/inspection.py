"""``unigen inspect``: what the layers of a trained model do with real sequences, and the folder that tells it.

Whatever the family: structures become sequences as in training (`unigen.models.sequence_encoder`), the network reads
them for its losses, and what its backbone was given on the way is what the layers are measured on
(`unigen.nn.mixers.interactions`).
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from unigen.cards import KINDS, Kind, find_cards
from unigen.config import check_ranges
from unigen.crystals.crystal import Crystal
from unigen.data.crystal_store import open_crystals
from unigen.data.dataset_file import built_kind, name_and_split
from unigen.data.molecule_store import open_molecules
from unigen.disk import sha256_of, write_text
from unigen.errors import UserError
from unigen.models.checkpoint import WEIGHTS, load_model, model_folder
from unigen.models.families import UNLEARNED, family_of
from unigen.models.interface import Batch
from unigen.models.sequence_encoder import SequenceEncoder
from unigen.molecules.molecule import Molecule
from unigen.nn.mixers.interactions import TOLERANCE, Interaction, LayerView, UnifiedView
from unigen.nn.mixers.pattern import kind_of
from unigen.parallel import ProgressBar
from unigen.retrieval.build_table import TABLE
from unigen.retrieval.table import read_table
from unigen.shapes import Float
from unigen.version import __version__

if TYPE_CHECKING:
    import pandas as pd

CLAIM, REPORT, LAYERS = "inspect.yaml", "inspect.json", "layers.csv"

BUNDLED_TABLE = "unigen-crystal-small"
"""Whose table of known crystals is read by default, and looked up by models that have none."""

SMILES = (
    *("C", "N", "O", "CC", "C=C", "C#C", "CO", "C=O", "C#N", "CCO", "CC=O", "CC#N", "C1CC1", "C1CO1", "CC(C)C"),
    *("CC(=O)O", "CC(N)=O", "c1ccccc1", "c1cc[nH]c1", "c1ccoc1", "c1ccncc1", "C1CCCCC1", "CC(C)(C)O", "OCC(O)CO"),
    *("N#CC1CC1", "O=C1CCCO1", "CC1CCC1O", "C1CN1CC#C", "OC1CC2CC1C2", "FC(F)(F)C=O", "Cc1cnco1", "NC(=O)C1CC1"),
)
"""Molecules that are read by default: of up to nine heavy atoms of C, N, O and F, as those of QM9."""

SHOWN = 32
"""Tokens of the sequence whose maps are drawn, at most where there is such a one: what a page has room to name."""

Named = tuple[str, Any]
"""Name and structure."""


@dataclass(frozen=True, kw_only=True)
class InspectSettings:
    """What is inspected.

    Attributes:
        model: bundled name or model folder.
        on: dataset, ``name`` or ``name:split``; None: known structures that come with UniGen.
        n: sequences.
        seed: draws the structures and how they are written.

    Raises:
        UserError: a value out of its range.
    """

    model: str
    on: str | None = None
    n: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(self, n=(1, 100_000), seed=(0, 2**32 - 1))


@dataclass(frozen=True, eq=False)
class ReadSequence:
    """A sequence that was read.

    Attributes:
        id: of the structure.
        structure: itself.
        labels: its tokens.
    """

    id: str
    structure: Crystal | Molecule
    labels: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class LayerMap:
    """W of one layer for one sequence.

    Attributes:
        layer: its name.
        mixer: its kind.
        weights: absolute values where W is complex, else W; sources of one token summed.
        shares: of what is moved, head by head.
    """

    layer: str
    mixer: str
    weights: Float[np.ndarray, "heads tokens sources"]
    shares: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Inspection:
    """What was found.

    Attributes:
        settings: what was asked.
        model: name.
        version: checksum of the weights.
        kind: of structure.
        on: what was read, in words.
        tolerance: of ranks, as a share of the largest singular value.
        sequences: that were read, in their order.
        left_out: structures that were drawn and do not fit the model, by reason.
        layers: in order; see `unigen.nn.mixers.interactions`.
        gradient: of outputs by inputs, by distance from 0; 1 is what the identity has.
        pairs: of tokens behind each value of the gradient.
        shown: place of the sequence whose maps are kept.
        maps: of its layers.
    """

    settings: InspectSettings
    model: str
    version: str
    kind: Kind
    on: str
    tolerance: float
    sequences: tuple[ReadSequence, ...]
    left_out: dict[str, int]
    layers: tuple[LayerView, ...]
    gradient: tuple[float, ...]
    pairs: tuple[int, ...]
    shown: int
    maps: tuple[LayerMap, ...]

    def __repr__(self) -> str:
        return f"Inspection({self.model}: {len(self.layers)} layers, {len(self.sequences)} sequences of {self.on})"

    def summary(self) -> dict[str, Any]:
        """All but the maps, as ``inspect.json`` has it."""
        return {
            "unigen": __version__,
            "model": self.model,
            "version": self.version,
            "kind": self.kind,
            "on": self.on,
            "n": self.settings.n,
            "seed": self.settings.seed,
            "tolerance": self.tolerance,
            "sequences": [
                {"id": each.id, "formula": each.structure.formula, "tokens": len(each.labels)}
                for each in self.sequences
            ],
            "left_out": self.left_out,
            "layers": [asdict(each) for each in self.layers],
            "gradient": list(self.gradient),
            "pairs": list(self.pairs),
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row a layer: the numbers that are means over heads."""
        names = [each.name for each in fields(LayerView)]
        return [
            {name: value for name in names if not isinstance(value := getattr(layer, name), tuple)}
            for layer in self.layers
        ]

    def to_dataframe(self) -> pd.DataFrame:
        """A row a layer; see `unigen.nn.mixers.interactions.LayerView`."""
        import pandas as pd

        return pd.DataFrame(self.rows())


def inspect_model(
    settings: InspectSettings, structures: Sequence[Named] | None = None, *, progress: bool = False
) -> Inspection:
    """Read sequences with a model and measure all of its layers.

    Args:
        settings: what is inspected.
        structures: with their names, to be read in place of a dataset's, all that there are of them in their order.
        progress: show a bar.

    Raises:
        UserError: a model without a backbone, a dataset that is not built or of the other kind, no structure that fits.
    """
    if settings.model in UNLEARNED:
        raise UserError(f"{settings.model} learns nothing: there are no layers to inspect")
    folder = model_folder(settings.model)
    network = load_model(folder)
    family = family_of(network.config)
    if family.learned is None or family.learned.encoder is None:
        raise UserError(
            f"models of the family {family.name} read no sequences: there are no layers to inspect",
            where=settings.model,
        )
    kind, on, drawn = _structures(settings, family.learned.reads, structures)
    known = folder / TABLE
    if not known.exists():
        known = model_folder(BUNDLED_TABLE) / TABLE
    encoder = family.learned.encoder(network, kind, known)
    items: list[Any] = []
    sequences: list[ReadSequence] = []
    left_out: Counter[str] = Counter()
    for name, structure in drawn:
        if structures is None and len(items) == settings.n:
            break
        # its own random numbers: a structure is written alike whatever stands before it
        rng = np.random.default_rng([settings.seed, 1, len(items)])
        try:
            item = encoder.encode(structure, rng)
        except UserError as error:
            left_out[error.reason] += 1
            continue
        items.append(item)
        sequences.append(ReadSequence(name, structure, tuple(encoder.labels(item))))
    if not items:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise UserError("no structure fits the model", where=on, got=reasons or "none at all")
    config = encoder.network.config
    view = UnifiedView(_backbone(encoder), [kind_of(layer) for layer in config.mixers], TOLERANCE, settings.seed)
    shown = _shown([len(each.labels) for each in sequences])
    maps: tuple[LayerMap, ...] = ()
    with ProgressBar("inspecting", len(items), shown=progress) as bar:
        for place, item in enumerate(items):
            found = view.add(backbone_input(encoder, [item])[0])
            if place == shown:
                maps = tuple(_map(each, layer) for each, layer in zip(found, view.layers, strict=True))
            bar.advance()
    return Inspection(
        settings=settings,
        model=folder.name,
        version=sha256_of(folder / WEIGHTS),
        kind=kind,
        on=on,
        tolerance=TOLERANCE,
        sequences=tuple(sequences),
        left_out=dict(left_out),
        layers=view.layers,
        gradient=view.gradient,
        pairs=view.pairs,
        shown=shown,
        maps=maps,
    )


def backbone_input(encoder: SequenceEncoder, items: list[Any]) -> list[Float[Tensor, "tokens width"]]:
    """What the backbone is given of each of these items, without padding, where the network computes its losses."""
    batch: Batch = encoder.collate(items)
    given: list[Tensor] = []
    handle = _backbone(encoder).register_forward_pre_hook(lambda _module, args: given.append(args[0].detach()))
    try:
        with torch.no_grad():
            encoder.network.losses(batch, torch.Generator().manual_seed(0), repeats=1)
    finally:
        handle.remove()
    return [row[:length] for row, length in zip(given[0], batch.lengths.tolist(), strict=True)]


def claimed_by(inspection_of: InspectSettings, structures: Sequence[Named] | None) -> dict[str, Any]:
    """What makes the results of a folder."""
    folder = model_folder(inspection_of.model)
    digest = sha256()
    for name, structure in structures or ():
        digest.update(repr((name, structure.to_extxyz())).encode())
    return {
        "unigen": __version__,
        "model": folder.name,
        "version": sha256_of(folder / WEIGHTS),
        "on": inspection_of.on if structures is None else f"structures {digest.hexdigest()[:16]}",
        "n": inspection_of.n,
        "seed": inspection_of.seed,
    }


def write_inspection(inspection: Inspection, folder: Path) -> None:
    """Write ``inspect.json`` and ``layers.csv``."""
    write_text(folder / REPORT, json.dumps(inspection.summary(), indent=1) + "\n")
    text = io.StringIO()
    rows = inspection.rows()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["layer"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / LAYERS, text.getvalue())


def _backbone(encoder: SequenceEncoder) -> Any:
    backbone = encoder.network.backbone
    assert isinstance(backbone, nn.Module)
    return backbone


def _structures(
    settings: InspectSettings, reads: Kind, given: Sequence[Named] | None
) -> tuple[Kind, str, Iterable[Named]]:
    """Kind, name in words, and the structures in the order in which they are tried."""
    rng = np.random.default_rng([settings.seed, 0])
    if given is not None:
        if not given:
            raise UserError("no structures to read")
        kind: Kind = "molecules" if isinstance(given[0][1], Molecule) else "crystals"
        return kind, "structures in memory", given
    if settings.on is not None:
        dataset, _ = name_and_split(settings.on)
        named = next((each for each in KINDS if each == Path(dataset).stem), None)
        kind = built_kind(dataset) or named or reads
        opened = open_crystals(settings.on) if kind == "crystals" else open_molecules(settings.on)
        order = rng.permutation(len(opened)).tolist()
        return kind, settings.on, _lazily(order, lambda row: (str(opened.ids[row]), opened[row]))
    if reads == "molecules":
        order = rng.permutation(len(SMILES)).tolist()
        return reads, "small molecules", _lazily(order, lambda row: (SMILES[row], Molecule.from_smiles(SMILES[row])))
    table = read_table(find_cards("models")[BUNDLED_TABLE].parent / TABLE)
    order = rng.permutation(len(table)).tolist()
    on = f"the table of {BUNDLED_TABLE}"
    return reads, on, _lazily(order, lambda row: (str(table.ids[row]), table[row].to_crystal()))


def _lazily(order: list[int], read: Callable[[int], Named]) -> Iterator[Named]:
    return (read(row) for row in order)


def _shown(lengths: list[int]) -> int:
    """The longest sequence that a page has room for, else the shortest."""
    fitting = [place for place, length in enumerate(lengths) if length <= SHOWN]
    return max(fitting, key=lengths.__getitem__) if fitting else min(range(len(lengths)), key=lengths.__getitem__)


def _map(found: Interaction, layer: LayerView) -> LayerMap:
    weights = found.heads.sum(-1)
    return LayerMap(
        layer=layer.name,
        mixer=layer.mixer,
        weights=(weights.abs() if weights.is_complex() else weights).numpy(),
        shares=tuple(found.shares.tolist()),
    )
