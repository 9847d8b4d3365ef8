"""From a name to a generator."""

from __future__ import annotations

from pathlib import Path

from unigen.cards import find_cards, published
from unigen.data.crystal_store import open_dataset
from unigen.data.dataset_file import resolve_dataset
from unigen.device import check_device
from unigen.disk import sha256_of
from unigen.errors import UserError
from unigen.models.checkpoint import WEIGHTS, load_model
from unigen.models.generator import Generator
from unigen.models.joint.network import JointModel
from unigen.models.nearest.generator import NearestGenerator
from unigen.models.predictor.network import PropertyNetwork
from unigen.models.smiles.decoding import MoleculeSettings
from unigen.models.smiles.generator import MoleculeGenerator
from unigen.models.smiles.network import MoleculeModel
from unigen.models.words.decoding import DecodeSettings
from unigen.models.words.generator import NetworkGenerator
from unigen.models.words.network import Autoregressive
from unigen.models.wyckoff.generator import WyckoffGenerator
from unigen.models.wyckoff.network import WyckoffModel
from unigen.retrieval.build_table import TABLE, open_table, table_path
from unigen.retrieval.shortlist import Retriever

NEAREST = "nearest"


def load(
    model: str | Path = "unigen-crystal-small",
    *,
    device: str = "cpu",
    settings: DecodeSettings | MoleculeSettings | None = None,
    score: bool = True,
    retrieve_from: str | Path | None = None,
    exclude_formula: bool = False,
) -> Generator:
    """A generator by bundled name, by model folder, or ``"nearest"``.

    Args:
        model: name or path.
        device: of torch.
        settings: how a network draws: DecodeSettings for crystals, MoleculeSettings for molecules.
        score: compute the exact likelihood of every sample of a network.
        retrieve_from: dataset that ``nearest`` copies from, and that a wyckoff model retrieves from (by default the
            table that lies beside its weights).
        exclude_formula: use no structure of the request's own formula (for benchmarks).

    Raises:
        UserError: no such model, weights missing, truncated or of another version, a device that is not there.
    """
    if str(model) == NEAREST:
        if retrieve_from is None:
            raise UserError("nearest: copies from which dataset?", next_step="give --retrieve-from, such as oqmd-icsd")
        path, _ = resolve_dataset(retrieve_from)
        return NearestGenerator(open_dataset(retrieve_from), sha256_of(path), exclude_formula=exclude_formula)
    folder = model_folder(model)
    check_device(device)
    network, steps = load_model(folder, device), 8 if score else 0
    if isinstance(network, JointModel):
        network = network.molecule if isinstance(settings, MoleculeSettings) else network.crystal
    if isinstance(network, PropertyNetwork):
        raise UserError(
            "this model predicts properties and generates nothing",
            where=str(folder),
            next_step="give it to: unigen evaluate conditional --predictor",
        )
    if retrieve_from is not None and not isinstance(network, WyckoffModel):
        raise UserError("this model retrieves nothing", got=f"--retrieve-from {retrieve_from}", where=str(folder))
    version = sha256_of(folder / WEIGHTS)
    if isinstance(network, MoleculeModel):
        if isinstance(settings, DecodeSettings):
            raise UserError("this model makes molecules, not crystals", where=str(folder))
        return MoleculeGenerator(network, folder.name, version, settings)
    if isinstance(settings, MoleculeSettings):
        raise UserError("this model makes crystals, not molecules", where=str(folder))
    if isinstance(network, Autoregressive):
        return NetworkGenerator(network, folder.name, version, settings, score_steps=steps)
    known = _table(folder, retrieve_from)
    return WyckoffGenerator(
        network,
        Retriever(open_table(known)),
        folder.name,
        f"{version}+{sha256_of(table_path(known)[0])}",
        settings,
        score_steps=steps,
        exclude_formula=exclude_formula,
    )


def _table(folder: Path, retrieve_from: str | Path | None) -> str | Path:
    """Where a wyckoff model's neighbours come from: the dataset asked for, or the table beside its weights."""
    if retrieve_from is not None:
        return retrieve_from
    if not (folder / TABLE).exists():
        raise UserError(
            "this model retrieves known structures: from which dataset?",
            where=str(folder),
            next_step="give --retrieve-from, such as oqmd-icsd (with: unigen data templates oqmd-icsd)",
        )
    return folder / TABLE


def model_folder(model: str | Path) -> Path:
    """The folder of a bundled model, or the given one; raises UserError naming the models there are."""
    known = find_cards("models")
    if str(model) in known:
        return known[str(model)].parent
    if Path(model).is_dir():
        return Path(model)
    raise UserError(
        f"no model {str(model)!r}",
        wanted=f"one of {', '.join([*known, NEAREST])}, or a model folder",
        next_step=f"bundled models lie in {published('models').name}/",
    )
