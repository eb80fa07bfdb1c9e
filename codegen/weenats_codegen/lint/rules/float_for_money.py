"""Amounts of money as binary floating point numbers."""

from collections.abc import Iterator
from typing import Final

from weenats_codegen import naming
from weenats_codegen.lint.rule import Rule, Subject, names_type
from weenats_codegen.parser.diagnostics import Diagnostic

_MONEY: Final = frozenset({
    "amount", "balance", "budget", "charge", "cost", "credit", "debit", "deposit", "discount",
    "fee", "fees", "income", "money", "payment", "payout", "price", "prices", "refund", "revenue",
    "salary", "subtotal", "surcharge", "tax", "taxes", "total", "turnover", "vat", "wage",
})  # fmt: skip
_OTHER_UNITS: Final = frozenset({
    "count", "percent", "percentage", "quantity", "rate", "ratio", "weight",
})  # fmt: skip


def _check(subject: Subject) -> Iterator[Diagnostic]:
    for part in subject.parts:
        if not _is_money(part.member):
            continue
        keywords = subject.keywords(part)
        is_exact = keywords.get("format") == "decimal" or "multipleOf" in keywords
        if names_type(keywords, "number") and not is_exact and "enum" not in keywords:
            yield Diagnostic(
                part.location,
                f"{part.member} looks like money and is a floating point number",
                "add format: decimal or multipleOf: 0.01, or use an integer of cents",
            )


def _is_money(member: str) -> bool:
    words = {word.lower() for word in naming.words(member)}
    return not words.isdisjoint(_MONEY) and words.isdisjoint(_OTHER_UNITS)


FLOAT_FOR_MONEY: Final = Rule(
    id="float-for-money",
    level="warning",
    summary="an amount of money is a binary floating point number",
    why="""\
Plain numbers are float in Python, and 0.1 + 0.2 is not 0.3 there: totals are off by a cent sooner
or later, and comparisons fail. `format: decimal` or `multipleOf: 0.01` makes it a Decimal in
Python, which is sent with all its digits; an integer of cents is exact in every language. The rule
looks at the names of members (price, amount, total ...).""",
    wrong="""\
queries:
  balance:
    description: Show what is left.
    result:
      type: object
      required: [balance]
      properties:
        balance: {type: number, description: In euros.}""",
    right="""\
queries:
  balance:
    description: Show what is left.
    result:
      type: object
      required: [balance]
      properties:
        balance: {type: number, multipleOf: 0.01, description: In euros.}""",
    check=_check,
)
