"""Generators of national identifiers: entity -> (make, words, argument names)."""

from collections.abc import Callable

Make = Callable[..., str]
ENTITIES: dict[str, list[tuple[Make, tuple[str, ...], tuple[str, ...]]]] = {}
