"""The page of an inspection: a table of the layers, curves by distance, maps of one sequence, what was read."""

from __future__ import annotations

from pathlib import Path

from unigen.report.figures.interactions import curves_figure, map_figure
from unigen.report.html import write_page
from unigen.report.page import Figure, Item, Page, Table
from unigen.runs.folder import PAGE
from unigen.runs.inspection import Inspection

COLUMNS = ("layer", "mixer", "heads", "effective heads", "rank", "effective rank", "rank of a head", "distance")

NOTE = (
    "rank: of all heads together, so many heads would do; of a head, of its matrix of tokens. Effective: as many as "
    "equal ones would be. effective heads: by what each moves. distance: in tokens, how far back a layer looks in the "
    "mean. Means over sequences; see unigen/nn/mixers/interactions.py."
)


def layer_rows(inspection: Inspection) -> list[tuple[str, ...]]:
    """The cells of the table of layers, below `COLUMNS`."""
    return [
        (
            each.name,
            each.mixer,
            f"{each.heads}",
            f"{each.effective_heads:.1f}",
            f"{each.rank:.1f}",
            f"{each.effective_rank:.1f}",
            f"{each.head_rank:.1f}",
            f"{each.distance:.1f}",
        )
        for each in inspection.layers
    ]


def remarks(inspection: Inspection) -> list[str]:
    """What the reader has to know of the numbers, and how gradients fade."""
    lengths = [len(each.labels) for each in inspection.sequences]
    read = f"{len(lengths)} sequences of {inspection.on}, {min(lengths)} to {max(lengths)} tokens"
    said = [f"{read}; ranks at {inspection.tolerance:g} of the largest singular value."]
    if inspection.layers:
        uniform = inspection.layers[0].uniform_distance
        said.append(f"A layer to which all tokens were alike would look {uniform:.1f} tokens back in the mean.")
    said.append(_gradient(inspection))
    missing = inspection.settings.n - len(lengths)
    if missing > 0 and inspection.on != "structures in memory":
        said.append(f"{missing} sequences fewer than asked for: there are no more structures that fit.")
    said += [f"left out: {count} {reason}" for reason, count in inspection.left_out.items()]
    return said


def _told(inspection: Inspection) -> int:
    """The farthest distance up to which there are as many pairs of tokens as sequences: beyond it a few say it all."""
    fewest = len(inspection.sequences)
    return max((lag for lag, pairs in enumerate(inspection.pairs) if pairs >= fewest), default=0)


def _gradient(inspection: Inspection) -> str:
    last = _told(inspection)
    told = sorted({lag for lag in (1, 10, last) if lag <= last})
    values = ", ".join(f"{inspection.gradient[lag]:.2g} at {lag}" for lag in told)
    return f"Gradient of an output by an input, by distance in tokens: {values}."


def write_inspection_page(inspection: Inspection, folder: Path) -> Path:
    """Write the page into the folder; the same inspection gives the same bytes."""
    lengths = [len(each.labels) for each in inspection.sequences]
    shown = inspection.sequences[inspection.shown]
    profiles = [(f"{each.name} {each.mixer}", each.profile) for each in inspection.layers]
    words = "; ".join(f"layer {each.name}, {each.mixer}: {each.distance:.1f} tokens" for each in inspection.layers)
    figures: list[Figure] = []
    if profiles:
        title = "How far each layer looks: mean weight by distance"
        figures.append(
            curves_figure(
                title, profiles, "mean |W|, 1: all of what a token takes", f"Mean distance of each layer: {words}."
            )
        )
    curve = [("all layers", inspection.gradient[: _told(inspection) + 1])]
    title = "Gradient of an output by an input, through all layers"
    figures.append(curves_figure(title, curve, "size of the Jacobian, 1: identity", _gradient(inspection)))
    figures += [
        map_figure(f"Layer {each.layer}, {each.mixer}: W for {shown.id}", each.weights, each.shares, shown.labels)
        for each in inspection.maps
    ]
    heads = [
        (
            each.name,
            each.mixer,
            str(head + 1),
            f"{100 * each.shares[head]:.1f} %",
            f"{each.head_ranks[head]:.1f}",
            f"{each.head_effective_ranks[head]:.1f}",
            f"{each.distances[head]:.1f}",
        )
        for each in inspection.layers
        for head in range(each.heads)
    ]
    by_distance = [
        (str(lag), f"{value:.4g}", f"{pairs:,}")
        for lag, (value, pairs) in enumerate(zip(inspection.gradient, inspection.pairs, strict=True))
    ]
    page = Page(
        title=f"{inspection.model}: what its layers do",
        kind=inspection.kind,
        items=[
            Item(f"{place + 1:03d}", each.structure, {"tokens": length}, subtitle=each.id)
            for place, (each, length) in enumerate(zip(inspection.sequences, lengths, strict=True))
        ],
        figures=figures,
        tables=[Table("Layers", COLUMNS, layer_rows(inspection), NOTE)],
        appendix=[
            Table(
                "Heads",
                ("layer", "mixer", "head", "moves", "rank", "effective rank", "distance"),
                heads,
                folded=True,
            ),
            Table("Gradient by distance", ("distance", "gradient", "pairs"), by_distance, folded=True),
        ],
        settings={"model": inspection.model, "version": inspection.version, "on": inspection.on}
        | {"n": inspection.settings.n, "seed": inspection.settings.seed, "tolerance": inspection.tolerance},
        notes=remarks(inspection),
    )
    return write_page(page, folder / PAGE)
