"""``python -m unigen``: the command line, for whoever has the package but no script on the path."""

from unigen.cli import main

main()
