"""Contract folders: their YAML and JSON files, `$ref`s, and the locations of values."""
