"""Patterns of ECMA-262 as regular languages.

Which texts match one pattern and not another is decided as in textbooks: `syntax` reads a pattern
as a tree, `automaton` makes an automaton of it, whose states are made when they are needed, and
`language` walks through several automata side by side, character by character.
"""
