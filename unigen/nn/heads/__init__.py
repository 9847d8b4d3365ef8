"""What draws symbols and vectors."""
