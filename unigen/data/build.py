"""Build a dataset: read sources, check every structure in worker processes, write one store.

``datasets_home()/NAME`` gets ``crystals.parquet`` or ``molecules.parquet``, ``rejected.csv`` (id, where, reason) and
``build.yaml`` (sources with checksums, options, counts, version). The bytes do not depend on the number of workers nor
on interruptions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console

from unigen.cards import KINDS, Kind
from unigen.config import read_yaml, write_yaml
from unigen.data import recipes
from unigen.data.assemble import Assembly, assemble
from unigen.data.build_sources import Source, resolve_sources
from unigen.data.crystal_rows import CRYSTALS
from unigen.data.dataset_file import check_dataset_name, dataset_path, datasets_home, name_and_split
from unigen.data.left_out import LEFT_OUT, by_reason, write_left_out
from unigen.data.molecule_rows import MOLECULES
from unigen.data.progress import counting
from unigen.data.shards import RowKind, Task, Treatment, build_parts, shard_rows
from unigen.disk import alone_in, checksum, durable, write_text
from unigen.errors import UserError
from unigen.molecules.descriptors import check_descriptors
from unigen.molecules.relaxation.estimated import relaxer_named
from unigen.molecules.relaxation.xtb import GFN2
from unigen.version import version_of

_FORMAT = 2
"""Raise it when the same sources and options would give another store."""

_PARTS = 3
"""Raise it when parts get other columns: those of an interrupted build are then made again."""

ROW_KINDS: dict[Kind, RowKind] = {"crystals": CRYSTALS, "molecules": MOLECULES}
"""How the rows of each kind of structure are made."""


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What gets into a dataset.

    Attributes:
        dedup: keep the first of crystals that StructureMatcher calls the same, of molecules with one canonical SMILES.
        exclude_compositions_of: datasets, ``NAME`` or ``NAME:SPLIT``, whose formulas (of crystals reduced) must not
            occur.
        max_atoms: largest primitive cell, or largest molecule.
        merge_splits: forget the sources' splits: every row is split "train" first.
        split_val: fraction of the reduced formulas (of molecules: of those that differ in more than stereo) of split
            "train" that become split "val".
        symprec: tolerance of the primitive cell, Angstrom.
        largest_fragment: of several molecules in one entry keep the largest; otherwise the entry is rejected.
        limit: read only so many entries of each split, the first.
        properties: a CSV of properties, joined to the structures by their names.
        rename: ``SOURCE:OLD=NEW``: a property of a source gets a name of its own, such as that of another scheme.
        conformers: of each SMILES, so many rows, each with other positions.
        relax: what relaxes positions estimated from a SMILES: mmff94s, or after it gfn2-xtb; None: as embedded.
        compute: properties that follow from the graph of a molecule (``unigen/molecules/descriptors.py``).
    """

    dedup: bool = False
    exclude_compositions_of: tuple[str, ...] = ()
    max_atoms: int | None = None
    merge_splits: bool = False
    split_val: float = 0.0
    symprec: float = 0.01
    largest_fragment: bool = False
    limit: int | None = None
    properties: Path | None = None
    rename: tuple[str, ...] = ()
    conformers: int = 1
    relax: str | None = None
    compute: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_descriptors(self.compute, "--compute")
        relaxer_named(self.relax, "--relax")
        if self.dedup and self.conformers > 1:
            raise UserError("--dedup keeps one conformer of a molecule", got=f"--conformers {self.conformers}")
        if not 0 <= self.split_val < 1:
            raise UserError("split_val: not a fraction", got=self.split_val, wanted="0 <= split_val < 1")
        for name in ("max_atoms", "limit", "conformers"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: not a positive count", got=value)


@dataclass(frozen=True)
class BuildResult:
    """What a build made.

    Attributes:
        name: dataset name.
        path: the Parquet store.
        splits: structures a split.
        rejected: rejected rows by kind of reason.
        already_built: nothing was done, the dataset stood there from the same sources and options.
        passed_over: files of the sources that were not read, by reason; they hold no structures, or the same again.
        not_kept: what structures that got in say in their source and not here, such as isotopes, and of how many.
        joined: by the name of each table of properties, how many structures and rows found each other.
    """

    name: str
    path: Path
    splits: dict[str, int]
    rejected: dict[str, int]
    already_built: bool = False
    passed_over: dict[str, int] = field(default_factory=dict)
    not_kept: dict[str, int] = field(default_factory=dict)
    joined: dict[str, dict[str, int]] = field(default_factory=dict)


def build_dataset(
    name: str,
    sources: tuple[str, ...] = (),
    options: BuildOptions | None = None,
    *,
    workers: int | None = None,
    console: Console | None = None,
    folder: Path | None = None,
) -> BuildResult:
    """Build dataset ``name`` from its public source, from local copies of it, or from any structures.

    Args:
        name: a recipe (``unigen data list``) or a name of your own.
        sources: paths (see `read_crystal_rows`, `read_molecule_rows`) or built datasets, ``NAME`` or
            ``NAME:SPLIT``; none for the public source of a recipe.
        options: what gets in.
        workers: processes; by default one a core.
        console: where progress is shown; silent without.
        folder: of its files; by default among the datasets that are found by their names.

    Raises:
        UserError: unknown name or source, no network, wrong checksum, nothing readable, full disk (what was done is
            kept and the next call goes on).
    """
    options = options or BuildOptions()
    check_dataset_name(name)
    home = folder or datasets_home() / name
    chosen = resolve_sources(name, sources, options.properties, options.rename)
    with alone_in(home):
        return _build(name, home, chosen, options, workers or os.cpu_count() or 1, console)


def _build(
    name: str, home: Path, sources: list[Source], options: BuildOptions, workers: int, console: Console | None
) -> BuildResult:
    work = home / ".build"
    kind = ROW_KINDS[sources[0].kind]
    slow = _relaxes_by_xtb(sources, options)
    plan = _plan(sources, options, work) | ({"tblite": version_of("tblite")} if slow else {})
    done = _already_built(name, home, kind, plan)
    if done is not None:
        return done
    _prepare(work, plan, shard_rows(slow))
    for origin in plan["sources"]:
        if origin["verified"] is False and console is not None:
            advice = f"no checksum on the card to verify against; sha256 {origin['checksum']}"
            console.out(f"{origin['source']}: {advice}", highlight=False)
    parts = _make_parts(name, sources, options, work, slow, workers, console)
    if options.dedup and console is not None:
        console.out(f"building {name}: looking for duplicates", highlight=False)
    assembly = assemble(
        kind,
        parts,
        unique_ids=any(source.card.unique_ids for source in sources if source.card),
        dedup=options.dedup,
        merge_splits=options.merge_splits,
        split_val=options.split_val,
        hold_out_test=any(source.card.hold_out_test for source in sources if source.card),
        workers=workers,
    )
    joined = {table.path.name: table.counts for source in sources for table in source.tables}
    return _publish(name, home, plan, assembly, _passed_over(sources), joined)


def _relaxes_by_xtb(sources: list[Source], options: BuildOptions) -> bool:
    """Whether any source is relaxed by GFN2-xTB; raises UserError where that is not installed."""
    relaxers = [options.relax or (source.card.relax if source.card else None) for source in sources]
    return GFN2 in [relaxer_named(relaxer, "relax") for relaxer in relaxers]


def _already_built(name: str, home: Path, kind: RowKind, plan: dict) -> BuildResult | None:
    """The dataset that stands there, when it was built by the same plan; options that are not set may be unknown."""
    if not (home / kind.store).exists() or not (home / "build.yaml").exists():
        return None
    done = read_yaml(home / "build.yaml")
    before = {key: done.get(key) for key in plan}
    if before | {"options": _given(done["options"])} != plan | {"options": _given(plan["options"])}:
        return None
    counts = {
        key: done.get(key, {}) for key in ("passed_over", "not_kept", "joined")
    }  # of versions that did not write them
    return BuildResult(name, home / kind.store, done["splits"], done["rejected"], already_built=True, **counts)


def _passed_over(sources: list[Source]) -> dict[str, int]:
    return dict(Counter(why for source in sources for why in source.passed_over()).most_common())


def _given(options: dict) -> dict:
    return {name: value for name, value in options.items() if value}


def _make_parts(
    name: str,
    sources: list[Source],
    options: BuildOptions,
    work: Path,
    slow: bool,
    workers: int,
    console: Console | None,
) -> list[Path]:
    kind = ROW_KINDS[sources[0].kind]
    treatment = Treatment(
        symprec=options.symprec,
        max_atoms=options.max_atoms,
        excluded=frozenset(formula for other in options.exclude_compositions_of for formula in kind.formulas(other)),
        largest_fragment=options.largest_fragment,
        relax=relaxer_named(options.relax, "--relax"),
        compute=options.compute,
    )
    tasks = (
        Task(record, source.card)
        for source in sources
        for read in source.records(work / "source", options.limit)
        for record in recipes.conformers(read, options.conformers)
    )
    unknown = options.limit or options.conformers > 1
    counts = [None] if unknown else [source.count() for source in sources]
    total = None if None in counts else sum(count for count in counts if count is not None)
    with counting(console, f"building {name}", kind.dataset.kind, total) as report:
        return build_parts(kind, tasks, treatment, work, slow, workers, report)


def _plan(sources: list[Source], options: BuildOptions, work: Path) -> dict:
    """What the store is determined by; two equal plans give equal bytes."""
    kind = sources[0].kind
    others = options.exclude_compositions_of
    excluded = {other: checksum(dataset_path(name_and_split(other)[0], kind)) for other in others}
    settings = asdict(options) | {"exclude_compositions_of": excluded}
    settings["properties"] = options.properties and checksum(options.properties)
    settings |= {"conformers": options.conformers if options.conformers > 1 else None}  # None: as before there were any
    settings["compute"] = list(options.compute)
    origins = [
        {
            "source": source.label,
            "checksum": source.checksum(work / "source"),
            "verified": source.verified,
            "recipe": recipes.row_rules(source.card) if source.card else None,
        }
        for source in sources
    ]
    ours = version_of("unigen-matter") or "source"
    plan = {"format": _FORMAT, "version": ours, "sources": origins, "options": settings}
    if kind == "molecules":
        plan["rdkit"] = version_of("rdkit")  # bonds, SMILES and conformers are RDKit's
    return plan


def _prepare(work: Path, plan: dict, rows_of_a_part: int) -> None:
    """Keep the parts of an interrupted build of the same rows; drop those of another."""
    # what a part depends on; the other options are about all rows together, which is decided anew each time
    names = ("symprec", "max_atoms", "exclude_compositions_of", "largest_fragment", "limit", "properties", "rename")
    options = {name: plan["options"][name] for name in (*names, "conformers", "relax", "compute")}
    rows = json.dumps([_PARTS, {key: plan[key] for key in plan if key != "options"}, options, rows_of_a_part])
    key = hashlib.sha256(rows.encode()).hexdigest()
    stamp = work / "plan"
    if not stamp.exists() or stamp.read_text() != key:
        for part in work.glob("part-*.parquet"):
            part.unlink()
        write_text(stamp, key)


def _publish(
    name: str,
    home: Path,
    plan: dict,
    assembly: Assembly,
    passed_over: dict[str, int],
    joined: dict[str, dict[str, int]],
) -> BuildResult:
    """Write the three files, the store last: while it is missing the dataset is not built."""
    rejected = dict(sorted(by_reason((row.where, row.reason) for row in assembly.rejected).items()))
    write_left_out(home / LEFT_OUT, assembly.rejected)
    store = home / assembly.kind.store
    for other in KINDS:
        (home / f"{other}.parquet").unlink(missing_ok=True)
    (home / "build.yaml").unlink(missing_ok=True)  # else a kill now could leave it to describe another store
    with durable(store) as partial:
        assembly.write(partial)
    facts: dict[str, object] = {"positions": assembly.origins} if assembly.origins else {}
    facts |= {"passed_over": passed_over} if passed_over else {}
    facts |= {"not_kept": assembly.not_kept} if assembly.not_kept else {}
    facts |= {"joined": joined} if joined else {}
    write_yaml(home / "build.yaml", {"name": name, **plan, "splits": assembly.splits, "rejected": rejected, **facts})
    shutil.rmtree(home / ".build")  # not before: a build that is killed until here goes on from its parts
    return BuildResult(
        name, store, assembly.splits, rejected, passed_over=passed_over, not_kept=assembly.not_kept, joined=joined
    )
