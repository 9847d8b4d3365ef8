"""What is mutated: small real files of every format that we read, written by our own writers, and what reads each."""

from __future__ import annotations

import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import ase.io
import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from ase.db import connect
from pymatgen.io.cif import CifWriter

from tests.crystals.real_crystals import elemental_crystals, prototypes
from tests.fuzz.differences import (
    compare_cif,
    compare_extxyz,
    compare_poscar,
    compare_sdf,
    compare_smiles,
)
from tests.molecules.real_molecules import embedded
from tests.retrieval.known_templates import save_table, symmetric_crystals
from unigen import config
from unigen.cards import find_cards, read_dataset_card
from unigen.crystals.crystal import Crystal
from unigen.crystals.powder.files import read_pattern
from unigen.crystals.powder.matching import prepare
from unigen.data.crystal_store import CrystalDataset
from unigen.data.molecule_store import MoleculeDataset
from unigen.data.readers.contents import count_entries, kind_of
from unigen.data.readers.crystals import read_crystal_rows
from unigen.data.readers.molecules import read_molecule_rows
from unigen.data.summary import summarise
from unigen.energies.hull.reference import HullCard, open_reference
from unigen.energies.hull.sources import read_energies
from unigen.eval.crystals.samples import read_samples as read_crystal_samples
from unigen.eval.molecules.samples import read_samples as read_molecule_samples
from unigen.journal import claim_folder, read_lines
from unigen.models.card import read_model_card
from unigen.models.checkpoint import CONFIG, WEIGHTS, save_model
from unigen.models.families import FAMILIES, build_model
from unigen.models.generator import Job, Sample
from unigen.molecules.molecule import Molecule
from unigen.request import CrystalRequest, MoleculeRequest
from unigen.runs.crystal_files import CrystalFolder
from unigen.runs.molecule_files import MoleculeFolder
from unigen.sample.load import load
from unigen.sample.predict import open_predictor
from unigen.sample.requests import read_molecule_requests, read_requests, read_smiles_file
from unigen.train.settings import TrainConfig

Read = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Target:
    """A file that is mutated, and what reads it.

    Attributes:
        name: of the format.
        group: which test it belongs to.
        file: its name, by which it is told; in a folder of several the one that is mutated.
        form: of mutations, a name of ``FORMS``.
        seeds: contents of the file as it should be.
        read: reads it; gives the reasons of what it left out.
        beside: other files of the folder.
        opens: what is read, where that is not the file but the folder.
    """

    name: str
    group: str
    file: str
    form: str
    seeds: tuple[bytes, ...] = field(repr=False)
    read: Read = field(repr=False)
    beside: dict[str, bytes] = field(default_factory=dict, repr=False)
    opens: str = ""

    def write(self, content: bytes, folder: Path) -> Path:
        """Put a content and what stands beside it into a folder; what is to be read."""
        for name, data in self.beside.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(data)
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return folder / self.opens if self.opens else path


@cache
def crystals() -> tuple[Crystal, ...]:
    """An element in a primitive cell, three compounds, each with a property."""
    chosen = [elemental_crystals()[20], *prototypes(40)[::15]]
    return tuple(Crystal(c.numbers, c.frac_coords, c.lattice, {"energy": -1.5}) for c in chosen)


@cache
def molecules() -> tuple[Molecule, ...]:
    """Stereo, charges, an aromatic ring."""
    return tuple(embedded(smiles) for smiles in ("C[C@H](N)C(=O)O", "C[NH3+]", "c1ccoc1", "O"))


def _reasons(rows: Iterator) -> list[str]:
    """What was left out, of at most a thousand entries: a file of many lines is not what is tried here."""
    return [row.reason for row, _ in zip(rows, range(1_000), strict=False) if row.structure is None]


def _read_crystals(path: Path) -> list[str]:
    count_entries(path)
    kind_of(path)
    return _reasons(read_crystal_rows(path))


def _read_molecules(path: Path) -> list[str]:
    count_entries(path)
    kind_of(path)
    return _reasons(read_molecule_rows(path))


def _then_compare(read: Read, compare: Callable[[Path], None]) -> Read:
    def both(path: Path) -> list[str]:
        reasons = read(path)
        compare(path)
        return reasons

    return both


def _evaluate_crystals(path: Path) -> list[str]:
    return [entry.reason for entry in read_crystal_samples(path).entries if entry.reason]


def _evaluate_molecules(path: Path) -> list[str]:
    return [entry.reason for entry in read_molecule_samples(path).entries if entry.reason]


def _csv(rows: list[dict]) -> bytes:
    text = io.StringIO()
    table = csv.DictWriter(text, rows[0])
    table.writeheader()
    table.writerows(rows)
    return text.getvalue().encode()


def _npz(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _parquet(table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def _by_ase(name: str, **options: object) -> bytes:
    """Files that only ASE writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        atoms = [crystal.to_ase() for crystal in crystals()]
        if path.suffix in (".db", ".json"):
            with connect(path) as database:
                for each in atoms[:2]:
                    database.write(each, key_value_pairs={"gap": 1.5, "source": "here"})
        else:
            ase.io.write(path, atoms if path.suffix == ".traj" else atoms[1], **options)
        return path.read_bytes()


def _crystal_targets() -> Iterator[Target]:
    some = crystals()
    ids = [f"c{index}" for index in range(len(some))]
    cifs = [str(CifWriter(crystal.to_pymatgen(), symprec=symprec)) for crystal in some for symprec in (None, 0.01)]
    cifs += [crystal.to_cif() for crystal in some]

    def target(name: str, file: str, form: str, *seeds: bytes | str, read: Read = _read_crystals) -> Target:
        contents = tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)
        return Target(name, "crystals", file, form, contents, read)

    yield target("CIF", "a.cif", "text", *cifs, read=_then_compare(_read_crystals, compare_cif))
    yield target(
        "POSCAR",
        "a.vasp",
        "text",
        *(crystal.to_poscar() for crystal in some),
        read=_then_compare(_read_crystals, compare_poscar),
    )
    frames = ["".join(crystal.to_extxyz() for crystal in some), some[1].to_extxyz()]
    yield target("extxyz", "a.extxyz", "text", *frames, read=_then_compare(_read_crystals, compare_extxyz))
    by_sites = [
        {
            "id": name,
            "lattice": crystal.lattice.tolist(),
            "sites": [
                {"element": atom.symbol, "fractional_coordinates": place.tolist()}
                for atom, place in zip(crystal.to_ase(), crystal.frac_coords, strict=True)
            ],
        }
        for name, crystal in zip(ids, some, strict=True)
    ]
    by_arrays = [
        {"lattice": c.lattice.tolist(), "numbers": c.numbers.tolist(), "frac_coords": c.frac_coords.tolist(), "gap": 1}
        for c in some
    ]
    by_pymatgen = [crystal.to_pymatgen().as_dict() for crystal in some]
    documents = [*by_sites[:2], *by_arrays[:2], *by_pymatgen[:2], by_sites, [{"structure": by_pymatgen[1], "e": 1.0}]]
    yield target("JSON", "a.json", "json", *map(json.dumps, documents))
    lines = ["\n".join(map(json.dumps, rows)) for rows in (by_sites, by_arrays, by_pymatgen, [{"cif": cifs[1]}])]
    yield target("JSON lines", "a.jsonl", "jsonl", *lines)
    rows = [{"material_id": name, "cif": cif, "gap": 1.5} for name, cif in zip(ids, cifs, strict=False)]
    yield target("CSV of CIF", "a.csv", "text", _csv(rows))
    arrays = {
        "num_atoms": np.array([len(crystal) for crystal in some]),
        "atomic_numbers": np.concatenate([crystal.numbers for crystal in some]),
        "frac_coords": np.concatenate([crystal.frac_coords for crystal in some]),
        "lattice": np.stack([crystal.lattice for crystal in some]),
        "material_id": np.array(ids),
        "gap": np.arange(len(some)) * 0.5,
    }
    yield target("npz of crystals", "a.npz", "npz", _npz(**arrays))
    store = _parquet(CrystalDataset.to_table(list(some), ids, ["train"] * len(some)))
    yield target("Parquet of crystals", "a.parquet", "parquet", store, read=_read_crystal_store)
    yield target("ASE .db", "a.db", "binary", _by_ase("a.db"))
    yield target("ASE .json", "a.json", "json", _by_ase("a.json"))
    yield target("ASE .traj", "a.traj", "binary", _by_ase("a.traj"))
    yield target("XSF", "a.xsf", "text", _by_ase("a.xsf"))
    yield target("RES", "a.res", "text", _by_ase("a.res", format="res"))
    yield target("gen", "a.gen", "text", _by_ase("a.gen"))
    cell = "%BLOCK LATTICE_CART\n3 0 0\n0 3 0\n0 0 3\n%ENDBLOCK LATTICE_CART\n\n"
    cell += "%BLOCK POSITIONS_FRAC\nNa 0 0 0\nCl 0.5 0.5 0.5\n%ENDBLOCK POSITIONS_FRAC\n"
    yield target("CASTEP .cell", "a.cell", "text", cell)
    yield target("no ending", "structure", "text", frames[0], some[1].to_poscar(), _by_ase("a.xsf"))
    yield target("compressed", "a.cif.gz", "text", *cifs[:2])
    yield target("zip of CIFs", "a.zip", "binary", _zip_of(cifs[:3]))
    yield target("DiffCSP's tensors", "a.pt", "binary", _diffcsp(some))


def _zip_of(cifs: list[str]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, cif in enumerate(cifs):
            archive.writestr(f"gen_{number}.cif", cif)
    return file.getvalue()


def _diffcsp(crystals: tuple[Crystal, ...]) -> bytes:
    parameters = torch.tensor(np.array([crystal.to_pymatgen().lattice.parameters for crystal in crystals]))
    file = io.BytesIO()
    tensors = {
        "num_atoms": torch.tensor([[len(crystal) for crystal in crystals]]),
        "frac_coords": torch.tensor(np.concatenate([crystal.frac_coords for crystal in crystals]))[None],
        "atom_types": torch.tensor(np.concatenate([crystal.numbers for crystal in crystals]))[None],
        "lengths": parameters[None, :, :3],
        "angles": parameters[None, :, 3:],
    }
    torch.save(tensors, file)
    return file.getvalue()


def _read_crystal_store(path: Path) -> list[str]:
    reasons = _read_crystals(path)
    summarise(str(path))
    return reasons


def _molecule_targets() -> Iterator[Target]:
    some = molecules()
    ids = [f"m{index}" for index in range(len(some))]

    def target(name: str, file: str, form: str, *seeds: bytes | str, read: Read = _read_molecules) -> Target:
        contents = tuple(seed.encode() if isinstance(seed, str) else seed for seed in seeds)
        return Target(name, "molecules", file, form, contents, read)

    def both(path: Path) -> list[str]:
        reasons = _read_molecules(path)
        try:
            return reasons + _evaluate_molecules(path)
        finally:
            compare_sdf(path)

    def positions(path: Path) -> list[str]:
        return _read_molecules(path) + _evaluate_molecules(path)

    sdf = "".join(molecule.to_sdf(name=name) for name, molecule in zip(ids, some, strict=True))
    from rdkit import Chem

    v3000 = "".join(Chem.MolToV3KMolBlock(molecule.to_rdkit()) + "> <gap>\n0.5\n\n$$$$\n" for molecule in some)
    yield target("SDF V2000", "a.sdf", "text", sdf, some[1].to_sdf(), read=both)
    yield target("SDF V3000", "a.sdf", "text", v3000, read=both)
    xyz = "".join(molecule.to_xyz() for molecule in some)
    yield target("XYZ", "a.xyz", "text", xyz, "".join(molecule.to_extxyz() for molecule in some), read=positions)
    smiles = [molecule.smiles for molecule in some]
    lines = "\n".join(f"{each} {name}" for each, name in zip(smiles, ids, strict=True))
    yield target("SMILES", "a.smi", "text", lines, smiles[0], read=_then_compare(_read_molecules, compare_smiles))
    rows = [{"id": name, "smiles": each, "gap": 0.5} for name, each in zip(ids, smiles, strict=True)]
    placed = [
        row
        | {
            "elements": str([atom.symbol for atom in molecule.to_ase()]),
            "xyz_ang": str(molecule.positions.tolist()),
        }
        for row, molecule in zip(rows, some, strict=True)
    ]
    yield target("CSV of SMILES", "a.csv", "text", _csv(rows), _csv(placed))
    arrays = {
        "num_atoms": np.array([len(molecule) for molecule in some]),
        "atomic_numbers": np.concatenate([molecule.numbers for molecule in some]),
        "positions": np.concatenate([molecule.positions for molecule in some]),
        "smiles": np.array(smiles),
        "gap": np.arange(len(some)) * 0.5,
    }
    buffer = np.frombuffer("\n".join(smiles).encode(), dtype=np.uint8)
    table = {"properties": np.ones((len(some), 2)), "property_names": np.array(["a", "b"])}
    yield target("npz of molecules", "a.npz", "npz", _npz(**arrays), _npz(**(arrays | table | {"smiles": buffer})))
    canonical = [molecule.canonical() for molecule in some]
    store = _parquet(MoleculeDataset.to_table(canonical, ids, ["train"] * len(some)))
    yield target("Parquet of molecules", "a.parquet", "parquet", store, read=_read_molecule_store)


def _read_molecule_store(path: Path) -> list[str]:
    reasons = _read_molecules(path)
    summarise(str(path))
    return reasons + _evaluate_molecules(path)


def _hull_targets() -> Iterator[Target]:
    rows = [{"material_id": f"mp-{n}", "formula": f, "e": e} for n, (f, e) in enumerate((("NaCl", -3.4), ("Na", -1.3)))]
    entries = [
        {"entry_id": "mp-1", "composition": {"Na": 4.0, "Cl": 4.0}, "energy": -27.0, "correction": -0.5, "data": {}},
        {"entry_id": "mp-2", "composition": {"Na": 2.0}, "energy": -2.6},
    ]

    def energies(path: Path) -> list[str]:
        return [str(reason) for reason in read_energies(str(path), "e", "total", "PBE").skipped]

    def read(path: Path) -> list[str]:
        _ = open_reference(path).by_elements
        return []

    yield Target("CSV of energies", "requests", "a.csv", "text", (_csv(rows),), energies)
    yield Target("entries", "requests", "a.json", "json", (json.dumps(entries).encode(),), energies)
    import pyarrow as pa

    table = _parquet(pa.table({"id": ["a", "b"], "formula": ["NaCl", "Na"], "energy_per_atom": [-3.4, -1.3]}))
    card = yaml.safe_dump(
        asdict(HullCard(name="h", quantity="total", scheme="PBE", sources={"a": {"b": "c"}}))
    ).encode()
    yield Target("hull", "requests", "h/entries.parquet", "parquet", (table,), read, {"h/card.yaml": card}, "h")
    yield Target("card of a hull", "requests", "h/card.yaml", "yaml", (card,), read, {"h/entries.parquet": table}, "h")


def _request_targets() -> Iterator[Target]:
    def of(read: Callable[[Path], object]) -> Read:
        def reading(path: Path) -> list[str]:
            read(path)
            return []

        return reading

    rows = [
        {"id": "a", "formula": "SrTiO3", "n_atoms": "5", "space_group": "221", "properties": "density=5;band_gap=1"},
        {"id": "b", "formula": "NaCl", "n_atoms": "2", "space_group": "Fm-3m", "properties": ""},
        {"id": "c", "formula": "A2BB'X6", "n_atoms": "", "space_group": "225", "properties": ""},
        {"id": "d", "formula": "ABX3 with A in Cs,Rb; B=Pb; X in halogens", "n_atoms": "5", "space_group": "221"},
    ]
    templates = [{"template": "221 Sr:a Ti:b O:c", "z": 1}, {"elements": ["Li", "O"], "crystal_system": "cubic"}]
    yield Target("requests", "requests", "a.csv", "text", (_csv(rows), _csv(templates[:1])), of(read_requests))
    lines = "\n".join(map(json.dumps, [*rows, *templates])).encode()
    yield Target("requests in JSON", "requests", "a.jsonl", "jsonl", (lines,), of(read_requests))
    rows = [{"id": "a", "smiles": "CCO", "gap": 0.25}, {"id": "b", "smiles": "c1ccccc1", "gap": 0.3}]
    yield Target("requests of molecules", "requests", "a.csv", "text", (_csv(rows),), of(read_molecule_requests))
    yield from _pattern_targets()
    yield Target("list of SMILES", "requests", "a.smi", "text", (b"CCO ethanol\nC#N\n",), of(read_smiles_file))


PARAMETERS = 10_000_000
"""Of networks that are built here; larger ones are allowed, and not what is tried."""


def _pattern_targets() -> Iterator[Target]:
    def read(path: Path) -> list[str]:
        prepare(read_pattern(path))
        return []

    rows = [(10 + n / 2, 900 if n == 20 else n % 5 + 1) for n in range(60)]
    table = "".join(f"{place:.2f} {value}\n" for place, value in rows)
    named = "wavelength, 1.5406\n2theta,counts\n" + table.replace(" ", ",")
    q = "# Q (1/nm) I\n" + "".join(f"{5 * place:.1f}\t{value}\n" for place, value in rows)
    step = "10.0 0.5 39.5\n" + " ".join(str(value) for _, value in rows) + "\n"
    seeds = tuple(text.encode() for text in (table, named, q, step, "d I\n3.1 100\n1.9 55\n1.6 30\n"))
    scan = f"data_a\n_diffrn_radiation_wavelength 1.5\nloop_\n_pd_meas_2theta_scan\n_pd_meas_counts_total\n{table}"
    yield Target("powder pattern", "requests", "a.xy", "text", seeds, read)
    yield Target("powder CIF", "requests", "a.cif", "text", (scan.encode(),), read)


def _config_targets() -> Iterator[Target]:
    def read(path: Path) -> list[str]:
        settings = config.load(TrainConfig, path)
        with torch.device("meta"):
            network = build_model(settings.model)
        if sum(parameter.numel() for parameter in network.parameters()) < PARAMETERS:
            torch.manual_seed(settings.seed)
            build_model(settings.model)
        return []

    def card(path: Path) -> list[str]:
        read_dataset_card(path)
        return []

    files = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
    seeds = tuple(path.read_bytes() for path in files)
    yield Target("train config", "configs", "a.yaml", "yaml", seeds, read)
    cards = tuple(path.read_bytes() for path in find_cards("data").values())
    yield Target("card of a dataset", "configs", "card.yaml", "yaml", cards, card)


def _folder(write: Callable[[Path], object]) -> dict[str, bytes]:
    """The files that a writer puts into a folder."""
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "run")
        files = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def _of_folder(name: str, group: str, files: dict[str, bytes], file: str, form: str, read: Read) -> Target:
    beside = {other: content for other, content in files.items() if other != file}
    return Target(name, group, file, form, (files[file],), read, beside, "run")


def _model_targets() -> Iterator[Target]:
    for family in FAMILIES:
        if family.learned is None:
            continue
        kind = next(iter(family.settings), None)

        def write(folder: Path, learned=family.learned, retrieves: bool = family.retrieves) -> None:
            torch.manual_seed(0)
            save_model(build_model(learned.tiny), folder)
            if retrieves:
                save_table(folder / "templates.parquet", symmetric_crystals()[:12])

        def read(folder: Path, kind=kind) -> list[str]:
            if kind is None:
                open_predictor(folder)
                return []
            generator = load(folder, makes=kind, score=False)
            request = CrystalRequest(formula="NaCl", n_atoms=2) if kind == "crystals" else MoleculeRequest(smiles="CO")
            if kind == "crystals":
                generator.draw([Job(request, 0, 0, 0)])
            return []

        files = _folder(write)
        name = f"{family.name} model"
        yield _of_folder(f"weights of a {name}", "models", files, f"run/{WEIGHTS}", "safetensors", read)
        yield _of_folder(f"config of a {name}", "models", files, f"run/{CONFIG}", "yaml", read)
        if family.retrieves:
            yield _of_folder(f"table of a {name}", "models", files, "run/templates.parquet", "parquet", read)

    def card(path: Path) -> list[str]:
        read_model_card(path)
        return []

    cards = tuple(path.read_bytes() for path in find_cards("models").values())
    yield Target("card of a model", "models", "card.yaml", "yaml", cards, card)


def _run_targets() -> Iterator[Target]:
    def sample(structure, request, index: int) -> Sample:
        return Sample(structure, request, index, 0, 0, "nearest", None, 0.0, "" if structure is not None else "none")

    def write_crystals(folder: Path) -> None:
        run = CrystalFolder(folder, formats=())
        run.claim({"n": 1, "decoding": {"temperature": 1.0}, "requests": [{"formula": "Na"}]})
        made = [*crystals(), None]
        run.append([sample(each, CrystalRequest(formula="Na", id=f"r{n}"), n) for n, each in enumerate(made)])
        run.finish()

    def write_molecules(folder: Path) -> None:
        run = MoleculeFolder(folder)
        run.claim({"n": 1, "drawing": {"temperature": 1.0}, "requests": [{"smiles": "O"}]})
        made = [*molecules(), None]
        run.append([sample(each, MoleculeRequest(smiles="O", id=f"r{n}"), n) for n, each in enumerate(made)])
        run.finish()

    def go_on(kind: type, facts: dict) -> Read:
        def reading(folder: Path) -> list[str]:
            run = kind(folder)
            run.claim(facts)
            run.finish()
            return []

        return reading

    for name, write, kind, evaluate, file in (
        ("crystals", write_crystals, CrystalFolder, _evaluate_crystals, "samples.extxyz"),
        ("molecules", write_molecules, MoleculeFolder, _evaluate_molecules, "samples.sdf"),
    ):
        files = _folder(write)
        facts = yaml.safe_load(files["run/run.yaml"])
        for read, of in ((evaluate, "evaluated"), (go_on(kind, facts), "gone on with")):
            for member, form in (("samples.jsonl", "jsonl"), ("run.yaml", "yaml"), (file, "text")):
                title = f"{member} of a run of {name}, {of}"
                yield _of_folder(title, "runs", files, f"run/{member}", form, read)

    def journal(folder: Path) -> list[str]:
        claim_folder(folder, "relax.yaml", {"potential": "emt", "steps": 5})
        list(read_lines(folder / "relaxed.jsonl"))
        return []

    files = {"run/relax.yaml": b"potential: emt\nsteps: 5\n", "run/relaxed.jsonl": b'{"structure": "a", "e": 1}\n' * 2}
    yield _of_folder("relax.yaml", "runs", files, "run/relax.yaml", "yaml", journal)
    yield _of_folder("relaxed.jsonl", "runs", files, "run/relaxed.jsonl", "jsonl", journal)


@cache
def targets() -> tuple[Target, ...]:
    """All of them."""
    makers = (_crystal_targets, _molecule_targets, _hull_targets, _request_targets, _config_targets, _model_targets)
    return tuple(target for make in (*makers, _run_targets) for target in make())
