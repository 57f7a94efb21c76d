"""Second looks at identifiers of people and accounts: checksums and fixed structure."""

from importlib import import_module

from stdnum import luhn as stdnum_luhn

from sentra.confirm import Confirm, Hit, confirm, factory


@factory
def stdnum(argument: str) -> Confirm:
    """The value is valid for python-stdnum's module ``argument``, as ``iban`` or ``es.nif``."""
    module = import_module(f"stdnum.{argument}")
    return lambda hit: bool(module.is_valid(hit.value))


@confirm
def luhn(hit: Hit) -> bool:
    """The value's digits pass the Luhn check (ISO/IEC 7812-1)."""
    return bool(stdnum_luhn.is_valid("".join(filter(str.isdigit, hit.value))))
