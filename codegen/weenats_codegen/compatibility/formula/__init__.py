"""Schemas as formulas of logic.

A schema is hard to negate: "not an object with a member `a`" is not a keyword. A formula is easy
to: it combines *atoms*, which are what keywords demand of values of one type, by "all", "any",
"exactly one" and "not". Whether every value of a schema A is one of B becomes: does "A and not B"
hold for any value? `compiler` makes formulas of schemas, `formulas` and `atoms` are what they
consist of, `meaning` decides whether one holds for a value, and `solve` searches for such a
value.
"""
