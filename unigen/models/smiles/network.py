"""The model of molecules: first their graph as a SMILES, then atom after atom where the next one goes.

``p(molecule | properties) = p(SMILES | properties) prod_i p(x_i | SMILES, properties, x_1 ... x_(i-1))``

The backbone reads properties, SMILES and placed atoms as one sequence. Before each atom it reads which atom comes and
what the placed atoms look like from there (``placement.py``); its output conditions a diffusion head that draws the
atom's vector in its local frame (``geometry/local_frame.py``). So no output depends on how a molecule is turned.

After UniGenX (Zhang et al. 2025: one sequence of symbols and vectors), Quetzal (Cheng et al. 2025: atom after atom with
a diffusion head) and the local frames of G-SphereNet (Luo and Ji 2022).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from unigen.batch import TokenBatch
from unigen.config import check_ranges
from unigen.elements import SYMBOLS
from unigen.errors import UserError
from unigen.geometry.local_frame import LocalFrames, local_frames
from unigen.models.interface import ALL, WIDTHS, Network, check_backbone, check_properties
from unigen.models.smiles.batch import MoleculeBatch
from unigen.models.smiles.embedding import CHARGES, MoleculeEmbedding
from unigen.models.smiles.examples import ExampleStore, merged_examples
from unigen.models.smiles.placement import PlacementContext
from unigen.models.smiles.springs import PULLS, Springs
from unigen.models.smiles.stereo_hints import stereo_hints
from unigen.models.smiles.tokens import IN_EXAMPLE, SHIFTS
from unigen.nn.heads.symbols import SymbolHead, start_small, symbol_scores
from unigen.nn.heads.vectors import VectorHead
from unigen.nn.mixers.backbone import Backbone
from unigen.nn.mixers.pattern import Layer
from unigen.nn.process.gaussian import GaussianProcess
from unigen.shapes import Float, Int
from unigen.smiles.hydrogens import Hydrogens
from unigen.tokens.sequence import Channel
from unigen.tokens.vocabulary import PAD, VOCABULARY_SIZE

_ROWS_BY_PROPERTY = tuple(
    f"embedding.{name}" for name in ("property.weight", "property_mean", "property_std", "property_range")
)
"""Tensors that have a row for each property, the first of which is none."""

_ROWS_BY_LABEL = ("embedding.index.weight", "embedding.parent.weight")
"""Tensors that have a row for each label of an atom: more where molecules may be larger."""


@dataclass(frozen=True, kw_only=True)
class MoleculeConfig:
    """Size and parts of the model.

    Attributes:
        max_atoms: the largest molecule, hydrogens counted.
        properties: names of the properties that may be asked for, in the units of the training data.
        units: of the properties.
        layout: the whole SMILES and then the atoms, or each atom as soon as the SMILES has named it.
        hydrogens: of the SMILES: implied, or each written as an atom of its own (``unigen/smiles/hydrogens.py``), which
            makes it three times as long; atoms are placed alike.
        examples: known molecules with the nearest values that stand in the prompt when properties are asked for.
        example_pool: known molecules that these are chosen among, a sample of the training data.
        mixers: of each layer; see ``nn/mixers/pattern.py``.
        width: of the backbone.
        heads: of attention.
        head_width: of the diffusion head.
        head_blocks: residual blocks of the diffusion head.
        context_width: of the description of a pair of atoms.
        context_noise: Angstrom; standard deviation of noise on the placed atoms in training, as drawn ones have errors.
        frame: axes that turn with the molecule, or fixed ones (then turned molecules must be learnt one by one).
        dropout: of the backbone's residual branches.

    Raises:
        UserError: a value out of its range.
    """

    kind: Literal["molecule"] = "molecule"
    max_atoms: int = 32
    properties: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    layout: Literal["graph-first", "atoms-first"] = "graph-first"
    hydrogens: Hydrogens = "implied"
    examples: int = 0
    example_pool: int = 2048
    mixers: tuple[Layer, ...] = ("attention",) * 6
    width: int = 160
    heads: int = 5
    head_width: int = 192
    head_blocks: int = 3
    context_width: int = 64
    context_noise: float = 0.03
    frame: Literal["local", "fixed"] = "local"
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_backbone(self)
        check_properties(self, most=1_000)  # a vector each: more columns than any dataset has
        # an atom has a vector of its own: of a molecule of more, attention between all pairs would not fit any memory
        check_ranges(self, max_atoms=(1, 10_000), context_width=WIDTHS, context_noise=(0, 10))
        # a prompt of a thousand molecules is longer than any model reads; a pool is kept with every checkpoint
        check_ranges(self, examples=(0, 1_000), example_pool=(1, 1_000_000))
        if self.layout == "atoms-first" and (self.examples or self.hydrogens == "written"):
            name = "examples" if self.examples else "hydrogens"
            raise UserError(f"{name}: not for the layout atoms-first", got=getattr(self, name), wanted="graph-first")
        if self.examples and not self.properties:
            raise UserError("examples: chosen by properties, and the model has none", wanted="properties and units")


class MoleculeModel(Network):
    """See the module's docstring; decoding lives in ``decoding.py``.

    What it was trained on, and so what it may write, is kept with the weights: ``atoms_seen[number, charge + CHARGES]``
    atoms of each element and formal charge, and ``most_heavy`` heavy atoms in one molecule.
    """

    headline = "val_loss_site"
    atoms_seen: Tensor
    most_heavy: Tensor

    def __init__(self, config: MoleculeConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("atoms_seen", torch.zeros(len(SYMBOLS), 2 * CHARGES + 1, dtype=torch.int64))
        self.register_buffer("most_heavy", torch.zeros((), dtype=torch.int64))
        self.embedding = MoleculeEmbedding(
            config.width,
            config.max_atoms,
            len(config.properties),
            backwards=config.layout == "atoms-first",
            examples=config.examples > 0,
        )
        self.context = PlacementContext(config.width, config.context_width, config.width)
        self.backbone = Backbone(config.mixers, config.width, config.heads, config.dropout)
        self.symbol_head = SymbolHead(config.width, VOCABULARY_SIZE)
        # Vectors are Angstrom and no longer than a bond (QM9: at most 1.6, standard deviation 0.7): 10 drowns them.
        # 95 % of the training levels lie between 0.016 and 8.5.
        process = GaussianProcess(sigma_max=10.0, log_std=1.6)
        self.atom_head = VectorHead(process, 3, config.width, config.head_width, config.head_blocks, PULLS)
        self.apply(start_small)
        self.examples: ExampleStore | None = None
        if config.examples:
            self.examples = ExampleStore(config.example_pool, config.max_atoms, len(config.properties))

    def forward(self, tokens: TokenBatch, labels: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens width"]:
        """Backbone output for properties and SMILES, finished or not; position t knows the tokens up to t."""
        return self.backbone(self.embedding.written(tokens, labels), tokens.layout)

    def frames(self, batch: MoleculeBatch, chosen: Int[Tensor, "batch chosen"]) -> LocalFrames:
        """The frames in which atoms are placed, told from ``batch.positions``."""
        frames = local_frames(batch.positions, batch.graph_distance, chosen)
        if self.config.frame == "local":
            return frames
        any_free = (frames.free.sum(-1, keepdim=True) > 0).to(frames.free.dtype)
        axes = torch.eye(3, device=frames.axes.device).expand_as(frames.axes)
        return replace(frames, axes=axes, free=any_free.expand_as(frames.free))

    def upcoming(
        self,
        atoms: Float[Tensor, "batch atoms width"],
        batch: MoleculeBatch,
        frames: LocalFrames,
        chosen: Int[Tensor, "batch chosen"],
    ) -> tuple[Float[Tensor, "batch chosen width"], Springs]:
        """What is known before each of the chosen atoms is placed; ``atoms`` as ``embedding.atoms`` gives them."""
        seen = frames.seen(batch.positions)
        around, springs = self.context(atoms, seen, batch, frames, chosen)
        hints = stereo_hints(batch, frames, chosen)
        return around + self.embedding.upcoming(atoms, batch, frames.parent, chosen, hints), springs

    def states(
        self, batch: MoleculeBatch, vectors: Float[Tensor, "batch atoms 3"], frames: LocalFrames
    ) -> tuple[Float[Tensor, "batch tokens width"], Springs]:
        """Backbone output of whole molecules; before each slot it knows what ``upcoming`` says.

        Args:
            batch: positions are those that the next atoms see.
            vectors: of all atoms, in their frames.
            frames: of all atoms.
        """
        chosen = torch.arange(vectors.shape[1], device=vectors.device).expand(len(batch), -1)
        x, atoms = self.embedding.written(batch.tokens, batch.atom_labels), self.embedding.atoms(batch)
        exists = (batch.numbers > 0)[..., None]  # padding points to token 0 and adds nothing there
        x = _add_at(x, batch.slot, self.embedding.placed(atoms, vectors, chosen) * exists)
        upcoming, springs = self.upcoming(atoms, batch, frames, chosen)
        x = _add_at(x, (batch.slot - 1).clamp(min=0), upcoming * exists)
        return self.backbone(x, batch.tokens.layout), springs

    def beginning(self, trained: dict[str, Tensor]) -> dict[str, Tensor]:
        """See Network: it may write what either's data holds, know more properties and be of larger molecules."""
        fresh = self.state_dict()
        state = super().beginning(trained)
        if fresh["atoms_seen"].shape == trained["atoms_seen"].shape:
            state["atoms_seen"] = fresh["atoms_seen"] + trained["atoms_seen"]
            state["most_heavy"] = torch.maximum(fresh["most_heavy"], trained["most_heavy"])
        for name in (*_ROWS_BY_PROPERTY, *_ROWS_BY_LABEL):
            if len(trained[name]) < len(fresh[name]) and trained[name].shape[1:] == fresh[name].shape[1:]:
                state[name] = torch.cat([trained[name], fresh[name][len(trained[name]) :]])
        return state | merged_examples(fresh, trained)

    def told(self, name: str, unit: str) -> MoleculeConfig:
        """See Network: the property gets a vector of its own."""
        config: MoleculeConfig = self.config
        return replace(config, properties=(*config.properties, name), units=(*config.units, unit))

    def large_parts(self) -> list[nn.Module]:
        """See Network."""
        return [self.backbone, self.atom_head.stack]

    def losses(
        self, batch: MoleculeBatch, generator: torch.Generator, repeats: int = 4, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Mean loss of each channel: nats a symbol, EDM loss a free number of an atom's vector.

        Args:
            batch: encoded molecules.
            generator: draws noise and noise levels.
            repeats: noise levels drawn a slot for one pass of the backbone (MAR, section 3.3).
            only: no part is trained alone.
        """
        del only
        context = self._context(batch, generator)
        chosen = torch.arange(batch.numbers.shape[1], device=batch.numbers.device).expand(len(batch), -1)
        frames = self.frames(context, chosen)
        vectors = frames.local(batch.positions)
        h, springs = self.states(context, vectors, frames)
        tokens = batch.tokens
        is_symbol = (tokens.channel[:, 1:] == Channel.SYMBOL) & (tokens.symbols[:, 1:] != PAD)
        is_symbol &= tokens.channel[:, :-1] != Channel.PROPERTY  # what follows a property is given: another, or BEGIN
        is_symbol &= tokens.descriptor[:, 1:, IN_EXAMPLE] == 0  # and so are examples
        symbol_loss = self.symbol_head.loss(h[:, :-1][is_symbol], tokens.symbols[:, 1:][is_symbol]).mean()
        drawn = (batch.numbers > 0) & (frames.free.sum(-1) > 0)  # the first atom of a molecule is the origin
        before = h.gather(1, (batch.slot - 1).clamp(min=0)[..., None].expand(-1, -1, h.shape[-1]))[drawn]
        x, free = vectors[drawn].repeat(repeats, 1), frames.free[drawn].repeat(repeats, 1)
        springs = springs.of(drawn.flatten()).repeated(repeats)
        loss = self.atom_head.loss(self.atom_head.context(before).repeat(repeats, 1), x, generator, free, springs.pulls)
        return {"symbol": symbol_loss, "site": (loss * free.sum(-1)).sum() / free.sum().clamp(min=1)}

    def validated(
        self, batch: MoleculeBatch, generator: torch.Generator, only: str = ALL
    ) -> dict[str, Float[Tensor, ""]]:
        """Losses as in training; in evaluation mode no atom is moved."""
        losses = self.losses(batch, generator, only=only)
        return {"val_nll_symbol": losses["symbol"], "val_loss_site": losses["site"]}

    def symbol_log_likelihoods(self, tokens: TokenBatch, labels: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch"]:
        """Log probability of each SMILES given its properties and examples, in nats."""
        scores = symbol_scores(self.symbol_head, self(tokens, labels)[:, :-1], tokens)
        return scores.masked_fill(tokens.descriptor[:, 1:, IN_EXAMPLE] > 0, 0.0).sum(1)

    def _context(self, batch: MoleculeBatch, generator: torch.Generator) -> MoleculeBatch:
        """What the next atoms are placed from: in training, atoms a little out of place and labels shifted."""
        if not self.training:
            return batch
        device = batch.positions.device
        noise = self.config.context_noise * torch.randn(batch.positions.shape, generator=generator, device=device)
        shift = torch.randint(SHIFTS, (len(batch),), generator=generator, device=device)
        return replace(batch, positions=batch.positions + noise, shift=shift)


def _add_at(
    x: Float[Tensor, "batch tokens width"], index: Int[Tensor, "batch atoms"], added: Float[Tensor, "batch atoms width"]
) -> Float[Tensor, "batch tokens width"]:
    return x.scatter_add(1, index[..., None].expand(*index.shape, x.shape[-1]), added)
