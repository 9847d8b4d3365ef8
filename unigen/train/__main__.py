"""``python -m unigen.train CONFIG [key=value ...]``: training where the command line's packages are not installed."""

from __future__ import annotations

import sys
from pathlib import Path

from unigen.cards import published_config
from unigen.command import run_command
from unigen.config import load
from unigen.train.run import train
from unigen.train.settings import TrainConfig


def main() -> None:
    """Parse, train, say where the model is."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        sys.exit("usage: python -m unigen.train CONFIG [key=value ...]")
    config = published_config(Path(sys.argv[1]))
    run_command(lambda: print(f"model written to {train(load(TrainConfig, config, sys.argv[2:]))}"))  # noqa: T201


if __name__ == "__main__":
    main()
