"""Regular languages: what patterns of ECMA-262 have in common."""
