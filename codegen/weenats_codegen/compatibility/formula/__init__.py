"""Schemas as formulas of logic, which have a negation and a meaning for each type of value."""
