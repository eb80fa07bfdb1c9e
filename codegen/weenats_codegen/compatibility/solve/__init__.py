"""The search for a value that several formulas hold for at once.

`solver` goes through the types of values and the alternatives of the formulas until only atoms of
one type are left; `numbers`, `texts`, `arrays` and `objects` find a value that meets these. The
outcome is a value, the proof that there is none, or that it is not known.
"""
