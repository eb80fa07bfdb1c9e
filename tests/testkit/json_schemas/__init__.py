"""Random JSON Schemas and documents, and the comparison of generated code with a validator."""
