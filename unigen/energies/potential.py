"""Interatomic potentials by name, each with the scheme of its energies and a checksum of its weights.

CHGNet: Deng et al., Nature Machine Intelligence 5, 1031 (2023). SevenNet: Park et al., J. Chem. Theory Comput. 20,
4857 (2024). Any other ASE calculator is given by import path, with its scheme.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unigen.device import check_device
from unigen.disk import sha256_of
from unigen.energies.batched_forces import (
    MOST_ATOMS,
    BatchCalculator,
    EnergyCalculator,
    check_chgnet_knows,
    chgnet_batches,
    chgnet_energies,
    in_parts,
    sevennet_batches,
    sevennet_energies,
)
from unigen.errors import UserError
from unigen.parsing import PARSER_ERRORS
from unigen.version import version_of

if TYPE_CHECKING:
    from ase import Atoms
    from ase.calculators.calculator import Calculator

GPU_BATCH = 64
"""Structures of some tens of atoms; a batch that does not fit into memory is halved."""

MISSING = "run: pip install 'unigen-matter[stability]'"
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class _BundledPotential:
    """A potential whose weights lie in its wheel."""

    scheme: str
    trained_on: str
    package: str
    weights: str
    load: Callable[[str], Calculator]
    batches: Callable[[Any], BatchCalculator]
    energies: Callable[[Any], EnergyCalculator]


def _chgnet(model: str) -> Callable[[str], Calculator]:
    def load(device: str) -> Calculator:
        from chgnet.model import CHGNet
        from chgnet.model.dynamics import CHGNetCalculator

        class CheckedCalculator(CHGNetCalculator):
            """CHGNet's own, which says what it does not know."""

            def calculate(self, atoms: Atoms | None = None, *args: Any, **kwargs: Any) -> None:
                if atoms is not None:
                    check_chgnet_knows(self, [atoms])
                super().calculate(atoms, *args, **kwargs)

        network = CHGNet.load(model_name=model, use_device=device, verbose=False)
        return CheckedCalculator(network, use_device=device, on_isolated_atoms="ignore")

    return load


def _sevennet(model: str) -> Callable[[str], Calculator]:
    def load(device: str) -> Calculator:
        from sevenn.calculator import SevenNetCalculator

        return SevenNetCalculator(model, device=device)

    return load


_MPTRJ = "DFT relaxations of the Materials Project (MPtrj): it has seen the structures of MP-20 and MPTS-52"
_CHGNET, _SEVENNET = "pretrained", "pretrained_potentials"
KNOWN = {
    "chgnet": _BundledPotential(
        "MP2020",
        _MPTRJ,
        "chgnet",
        f"{_CHGNET}/0.3.0/chgnet_0.3.0_e29f68s314m37.pth.tar",
        _chgnet("0.3.0"),
        chgnet_batches,
        chgnet_energies,
    ),
    "chgnet-r2scan": _BundledPotential(
        "r2SCAN",
        _MPTRJ + ", then r2SCAN relaxations of the Materials Project",
        "chgnet",
        f"{_CHGNET}/r2scan/chgnet_r2scan_transfer_learning_e15f36s161m23.pth.tar",
        _chgnet("r2scan"),
        chgnet_batches,
        chgnet_energies,
    ),
    "7net-0": _BundledPotential(
        "MP-uncorrected",
        _MPTRJ,
        "sevenn",
        f"{_SEVENNET}/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
        _sevennet("7net-0"),
        sevennet_batches,
        sevennet_energies,
    ),
    "7net-l3i5": _BundledPotential(
        "MP-uncorrected",
        _MPTRJ,
        "sevenn",
        f"{_SEVENNET}/SevenNet_l3i5/checkpoint_l3i5.pth",
        _sevennet("7net-l3i5"),
        sevennet_batches,
        sevennet_energies,
    ),
}
"""By name. Schemes: MP2020 is PBE(+U) with the Materials Project's 2020 corrections, MP-uncorrected without them."""


@dataclass(frozen=True, kw_only=True)
class Potential:
    """A potential and what its energies mean.

    Attributes:
        name: one of `KNOWN`, in any case, or the import path ``package.module:factory`` of an ASE calculator.
        scheme: of its energies; only energies of one scheme may stand in one hull.
        checkpoint: SHA-256 of its weights; empty for a calculator by import path.
        version: of the package it comes from; empty where it has none.
        device: of torch, for those that use it.
        batch: structures computed together.
    """

    name: str
    scheme: str
    checkpoint: str = ""
    version: str = ""
    device: str = "cpu"
    batch: int = 1

    @property
    def identity(self) -> dict[str, str]:
        """What its energies depend on."""
        return {
            "name": self.name,
            "scheme": self.scheme,
            "checkpoint": self.checkpoint[:16],
            "version": self.version,
        }

    def calculator(self) -> Calculator:
        """The ASE calculator, loaded once a process.

        Raises:
            UserError: the factory of an import path does not make one.
        """
        return _calculator(self.name, self.device)[0]

    @property
    def cutoff(self) -> float | None:
        """Angstrom; atoms with no other one so near have no energy by this potential. None where it is not known."""
        return _calculator(self.name, self.device)[1]

    @property
    def trained_on(self) -> str:
        """Which data its numbers come from, in a sentence; who reads them must know whether it saw the answers."""
        return KNOWN[self.name].trained_on if self.name in KNOWN else f"{self.name}: not known here"

    @property
    def package(self) -> str:
        """The package it comes from, by the name it is imported by."""
        return KNOWN[self.name].package if self.name in KNOWN else self.name.partition(":")[0].partition(".")[0]

    def batch_calculator(self) -> BatchCalculator:
        """Energies, forces and stresses of many structures at a time, for a potential of `KNOWN`."""
        return KNOWN[self.name].batches(self.calculator())

    def energies(self) -> EnergyCalculator:
        """Energies alone of many structures: of `KNOWN` potentials without derivatives, of others one by one."""
        return _energies(self.name, self.device)


def find_potential(name: str, scheme: str | None = None, device: str = "cpu", batch: int | None = None) -> Potential:
    """A potential by name or import path.

    Args:
        name: one of `KNOWN`, in any case, or ``package.module:factory``; the factory is called without arguments.
        scheme: energy scheme; needed with an import path, and must agree with a known potential's.
        device: of torch.
        batch: structures computed together; by default `GPU_BATCH` on a GPU where the potential can, else 1.

    Raises:
        UserError: unknown name, missing package or device, a scheme that is missing or another one, a batch for a
            calculator that computes one structure at a time.

    Example:
        >>> find_potential("ase.calculators.emt:EMT", "EMT").scheme
        'EMT'
    """
    if name.lower() in KNOWN:
        name = name.lower()
        # on a CPU workers stand side by side with a structure each; a GPU is busy only with many
        return _bundled(name, scheme, device, batch or (1 if device == "cpu" else GPU_BATCH))
    if not _IMPORT_PATH.fullmatch(name):
        wanted = f"{', '.join(KNOWN)}, or the import path of an ASE calculator such as package.module:Class"
        raise UserError("no such potential", got=name, wanted=wanted)
    if not scheme:
        raise UserError(
            "a calculator by import path needs the scheme of its energies",
            got=name,
            next_step="give --energy-scheme, such as MP2020, MP-uncorrected, r2SCAN",
        )
    if batch not in (None, 1):
        raise UserError("this calculator computes one structure at a time", where=name, got=f"--batch {batch}")
    _factory(name)
    return Potential(
        name=name, scheme=scheme, version=version_of(name.partition(".")[0].partition(":")[0]), device=device
    )


def _bundled(name: str, scheme: str | None, device: str, batch: int) -> Potential:
    bundled = KNOWN[name]
    if scheme is not None and scheme != bundled.scheme:
        raise UserError(f"energies of {name} have another scheme", got=scheme, wanted=bundled.scheme)
    spec = importlib.util.find_spec(bundled.package)
    if spec is None or spec.origin is None:
        raise UserError(f"{name} needs the package {bundled.package}", next_step=MISSING)
    check_device(device)
    weights = Path(spec.origin).parent / bundled.weights
    if not weights.exists():
        got = f"{bundled.package} {version_of(bundled.package)}"
        raise UserError(f"the weights of {name} are not in its package", where=str(weights), got=got, next_step=MISSING)
    return Potential(
        name=name,
        scheme=bundled.scheme,
        checkpoint=_checksum(weights),
        version=f"{bundled.package} {version_of(bundled.package)}",
        device=device,
        batch=batch,
    )


@lru_cache
def _checksum(weights: Path) -> str:
    return sha256_of(weights)


@lru_cache(maxsize=2)
def _calculator(name: str, device: str) -> tuple[Calculator, float | None]:
    """The calculator and its cut-off, as it is before the calculator has seen an element."""
    if name in KNOWN:
        with contextlib.redirect_stdout(io.StringIO()):  # CHGNet says hello
            calculator = KNOWN[name].load(device)
        return calculator, cutoff_of(calculator)
    try:
        calculator = _factory(name)()
    except PARSER_ERRORS as error:
        raise UserError("this calculator cannot be made", where=name, got=str(error)[:120]) from error
    if not callable(getattr(calculator, "get_property", None)):
        raise UserError("not an ASE calculator", where=name, got=type(calculator).__name__)
    return calculator, cutoff_of(calculator)


@lru_cache(maxsize=2)
def _energies(name: str, device: str) -> EnergyCalculator:
    calculator = _calculator(name, device)[0]
    if name in KNOWN:
        # "cuda:1" is a "cuda"; what else there is has memory of its own, too
        most = MOST_ATOMS["cpu" if device == "cpu" else "cuda"]
        return in_parts(KNOWN[name].energies(calculator), most)

    def one_by_one(structures: Sequence[Atoms]) -> list[float]:
        return [float(calculator.get_potential_energy(atoms)) for atoms in structures]

    return one_by_one


_CUTOFFS = ("cutoff", "r_max", "r_cut", "rcut", "rc")
"""What calculators call it: SevenNet; MACE; NequIP and others; Lennard-Jones, Morse and EMT in ASE."""


def cutoff_of(calculator: Any) -> float | None:
    """The distance in Angstrom beyond which a calculator sees no atom, None where it does not say so (yet)."""
    converter = getattr(getattr(calculator, "model", None), "graph_converter", None)  # CHGNet's
    places = [getattr(converter, "atom_graph_cutoff", None)]
    parameters = getattr(calculator, "parameters", None)
    places += [getattr(calculator, name, None) for name in _CUTOFFS]
    places += [parameters.get(name) for name in _CUTOFFS] if isinstance(parameters, dict) else []
    for value in places:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
            return float(value)
    return None


def _factory(path: str) -> Callable[[], Calculator]:
    module, _, factory = path.partition(":")
    try:
        return getattr(importlib.import_module(module), factory)
    except (ImportError, AttributeError) as error:
        raise UserError("cannot be imported", where=path, got=str(error)[:120]) from error


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Structures are small: workers side by side beat threads inside one, and threads change the last digits."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
