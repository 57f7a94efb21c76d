"""Compares rows with the budgets."""

import tomllib
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import msgspec

from bench.rows import Row

BUDGETS = Path(__file__).parent / "budgets.toml"
QUICK_SLACK = 1.5


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most, or the least, that rows of a name may measure.

    ``held`` is what was reached of a ``most`` that is not met yet: what may not be lost again until it is.
    """

    row: str
    most: float | None = None
    least: float | None = None
    held: float | None = None
    quick: bool = False

    def broken_by(self, row: Row, slack: float = 1.0) -> str:
        """How ``row`` breaks this budget; empty when it does not. With a ``slack`` what is held counts, not the aim."""
        most = self.held if slack > 1 and self.held is not None else self.most
        if most is not None and row.value > most * slack:
            return f"{row.name}: {row.value:g} {row.unit}; expected at most {most * slack:g}"
        if self.least is not None and row.value < self.least / slack:
            return f"{row.name}: {row.value:g} {row.unit}; expected at least {self.least / slack:g}"
        return ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    budget: Annotated[tuple[Budget, ...], msgspec.Meta(min_length=1)]


def budgets() -> tuple[Budget, ...]:
    """All budgets, in the order of the file."""
    return msgspec.convert(tomllib.loads(BUDGETS.read_text("utf-8")), _File).budget


def broken(rows: Iterable[Row], quick: bool = False) -> Iterator[str]:
    """Each broken budget, and each that no row was measured for."""
    measured = list(rows)
    for budget in budgets():
        if quick and not budget.quick:
            continue
        found = [row for row in measured if fnmatchcase(row.name, budget.row)]
        if not found:
            yield f"{budget.row}: was not measured"
        for row in found:
            wrong = budget.broken_by(row, QUICK_SLACK if quick else 1.0)
            if wrong:
                yield wrong
