"""Our version and those of others."""

from __future__ import annotations

from importlib import import_module, metadata

from unigen.errors import UserError

__version__ = "0.1.0"


def version_of(distribution: str) -> str:
    """The version of an installed distribution; empty where there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def require(extra: str, module: str, what: str) -> None:
    """Check that an optional package is there.

    Args:
        extra: of unigen-matter, the one that installs it.
        module: what is imported.
        what: needs it, for the message.

    Raises:
        UserError: it is not installed or, as a package with a library of its own may, does not load.
    """
    try:
        import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        missing = isinstance(error, ModuleNotFoundError) and error.name == package
        raise UserError(
            f"{what} {package}",
            got=None if missing else error,
            next_step=f"run: pip install 'unigen-matter[{extra}]'",
        ) from error
