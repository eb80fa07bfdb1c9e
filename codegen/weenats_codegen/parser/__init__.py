"""Reading contract folders: YAML and JSON files, references, positions of values."""
