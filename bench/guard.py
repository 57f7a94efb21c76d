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
    """The most, or the least, that rows of a name are to measure.

    ``held`` stands beside an aim that is not met yet: what was reached, with room for a busy machine, and may not be
    lost again. The aim stays what it is.
    """

    row: str
    most: float | None = None
    least: float | None = None
    held: float | None = None
    quick: bool = False

    def broken_by(self, row: Row, slack: float = 1.0) -> str:
        """How ``row`` breaks what is held, or else the aim; empty when it does not."""
        return self._missed(row, slack, self.held)

    def unmet_by(self, row: Row) -> str:
        """How ``row`` misses the aim; empty when it does not."""
        return self._missed(row, 1.0, None)

    def _missed(self, row: Row, slack: float, held: float | None) -> str:
        most = held if held is not None and self.most is not None else self.most
        least = held if held is not None and self.least is not None else self.least
        if most is not None and row.value > most * slack:
            return f"{row.name}: {row.value:g} {row.unit}; expected at most {most * slack:g}"
        if least is not None and row.value < least / slack:
            return f"{row.name}: {row.value:g} {row.unit}; expected at least {least / slack:g}"
        return ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    budget: Annotated[tuple[Budget, ...], msgspec.Meta(min_length=1)]


def budgets() -> tuple[Budget, ...]:
    """All budgets, in the order of the file."""
    return msgspec.convert(tomllib.loads(BUDGETS.read_text("utf-8")), _File).budget


def broken(rows: Iterable[Row], quick: bool = False) -> Iterator[str]:
    """Each broken budget, and each that no row was measured for."""
    for budget, found in _measured(rows, quick):
        if not found:
            yield f"{budget.row}: was not measured"
        yield from filter(None, (budget.broken_by(row, QUICK_SLACK if quick else 1.0) for row in found))


def unmet(rows: Iterable[Row], quick: bool = False) -> Iterator[str]:
    """Each aim that is not met, though what is held was not lost."""
    slack = QUICK_SLACK if quick else 1.0
    for budget, found in _measured(rows, quick):
        kept = (row for row in found if budget.held is not None and not budget.broken_by(row, slack))
        yield from filter(None, map(budget.unmet_by, kept))


def _measured(rows: Iterable[Row], quick: bool) -> Iterator[tuple[Budget, list[Row]]]:
    measured = list(rows)
    for budget in budgets():
        if budget.quick or not quick:
            yield budget, [row for row in measured if fnmatchcase(row.name, budget.row)]
