"""Anyone's files, one raw record after the other."""
