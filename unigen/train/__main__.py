"""``python -m unigen.train CONFIG [key=value ...]``: training where the command line's packages are not installed."""

from __future__ import annotations

import sys

from unigen.config import load
from unigen.errors import UserError
from unigen.train.run import train
from unigen.train.settings import TrainConfig


def main() -> None:
    """Parse, train, say where the model is; what the user caused is one line and exit code 2."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m unigen.train CONFIG [key=value ...]")
    try:
        folder = train(load(TrainConfig, sys.argv[1], sys.argv[2:]))
    except UserError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(2)
    print(f"model written to {folder}")  # noqa: T201


if __name__ == "__main__":
    main()
