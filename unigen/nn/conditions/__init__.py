"""What a network is told besides the structure: properties, patterns."""
