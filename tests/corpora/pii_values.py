"""Generators of valid identifiers, with check digits computed here and not by the code under test."""

import random
import string
from collections.abc import Sequence

DIGITS, UPPER = string.digits, string.ascii_uppercase
R = random.Random


def digits(rng: R, size: int, first: str = DIGITS) -> str:
    """``size`` digits, the first one of ``first``."""
    return rng.choice(first) + "".join(rng.choices(DIGITS, k=size - 1))


def letters(rng: R, size: int, alphabet: str = UPPER) -> str:
    return "".join(rng.choices(alphabet, k=size))


def luhn(body: str) -> str:
    """``body`` with its Luhn digit."""
    total = sum(sum(divmod(int(d) * (2 if i % 2 == 0 else 1), 10)) for i, d in enumerate(reversed(body)))
    return body + str(-total % 10)


def weighted(body: str, weights: Sequence[int]) -> int:
    """The sum of the digits of ``body`` times ``weights``."""
    return sum(int(d) * w for d, w in zip(body, weights, strict=False))


def grouped(text: str, sizes: Sequence[int], separator: str) -> str:
    """``text`` cut into groups of ``sizes`` with ``separator`` between them."""
    parts, place = [], 0
    for size in sizes:
        parts.append(text[place : place + size])
        place += size
    return separator.join(part for part in (*parts, text[place:]) if part)


def date(rng: R, first: int = 1930, last: int = 1999) -> tuple[int, int, int]:
    return rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28)


NAMES = [
    "anna",
    "ben",
    "carla",
    "david",
    "elena",
    "felix",
    "grace",
    "hugo",
    "irene",
    "jonas",
    "karin",
    "luca",
    "maria",
    "nils",
    "olga",
    "paul",
    "rosa",
    "sven",
    "tina",
    "uwe",
]
SURNAMES = [
    "miller",
    "schmidt",
    "rossi",
    "garcia",
    "novak",
    "jensen",
    "dubois",
    "kowalski",
    "silva",
    "tanaka",
    "okafor",
    "larsen",
    "costa",
    "meyer",
    "lindgren",
]
HOSTS = [
    "example",
    "example-mail",
    "northwind",
    "tailspin",
    "contoso-labs",
    "fabrikam",
    "blue-yonder",
    "proseware",
    "acme",
    "lucerne",
    "mail.wingtip",
]
ENDINGS = [
    "com",
    "org",
    "net",
    "de",
    "fr",
    "es",
    "it",
    "nl",
    "pl",
    "co.uk",
    "com.br",
    "co.jp",
    "io",
    "eu",
    "ch",
    "at",
    "se",
    "info",
    "biz",
    "app",
    "online",
    "in",
    "ca",
    "com.au",
]


def email(rng: R) -> str:
    first, last = rng.choice(NAMES), rng.choice(SURNAMES)
    local = rng.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}",
            f"{first}_{last}{rng.randint(1, 99)}",
            f"{first}+news",
            f"{last}-{first}",
            f"info.{last}",
            "support",
            f"{first}{rng.randint(1950, 2005)}",
        ]
    )
    address = f"{local}@{rng.choice(HOSTS)}.{rng.choice(ENDINGS)}"
    return rng.choice([address, address, address, address.upper(), address.title()])


def phone(rng: R) -> str:
    """A number that needs no name: with country code, or 3-3-4."""
    return rng.choice([phone_e164, phone_nanp])(rng)


def _nanp(rng: R) -> tuple[str, str, str]:
    area = rng.choice(
        [
            "212",
            "213",
            "305",
            "312",
            "404",
            "415",
            "503",
            "512",
            "617",
            "646",
            "702",
            "713",
            "206",
            "303",
            "416",
            "604",
            "514",
        ]
    )
    return area, digits(rng, 3, "23456789"), digits(rng, 4)


def phone_nanp(rng: R) -> str:
    a, b, c = _nanp(rng)
    shape = rng.choice(
        [
            "{}-{}-{}",
            "({}) {}-{}",
            "({}){}-{}",
            "{}.{}.{}",
            "1-{}-{}-{}",
            "{}-{}-{}x123",
            "{}-{}-{} ext. 44",
            "{}/{}-{}",
            "1 ({}) {}-{}",
        ]
    )
    return shape.format(a, b, c)


_COUNTRIES = {
    "44": [(2, 4, 4), (4, 6), (4, 3, 3)],
    "49": [(2, 7), (3, 4, 4), (3, 8)],
    "33": [(1, 2, 2, 2, 2)],
    "34": [(3, 3, 3), (3, 2, 2, 2)],
    "39": [(3, 7), (3, 3, 4)],
    "31": [(1, 8), (2, 3, 4)],
    "41": [(2, 3, 2, 2)],
    "48": [(3, 3, 3)],
    "46": [(2, 3, 2, 2)],
    "91": [(5, 5)],
    "81": [(2, 4, 4)],
    "86": [(3, 4, 4)],
    "55": [(2, 5, 4)],
    "61": [(3, 3, 3)],
    "1": [(3, 3, 4)],
    "52": [(2, 4, 4)],
}
_MOBILE = {
    "44": "7",
    "49": "1",
    "33": "6",
    "34": "6",
    "39": "3",
    "31": "6",
    "41": "7",
    "48": "5",
    "46": "7",
    "91": "9",
    "81": "9",
    "86": "13",
    "55": "119",
    "61": "4",
    "1": "415",
    "52": "55",
}


def phone_e164(rng: R) -> str:
    code = rng.choice(list(_COUNTRIES))
    sizes = rng.choice(_COUNTRIES[code])
    start = _MOBILE[code]
    if code == "1":
        national = "".join(_nanp(rng))
    elif code == "49":
        national = rng.choice(["151", "171", "160", "30", "89"]) + digits(rng, 8, "23456789")
        sizes = (len(national) - 8, 8)
    else:
        national = start + digits(rng, sum(sizes) - len(start))
    separator = rng.choice(["", " ", "-", ".", " "])
    prefix = rng.choice(["+", "+", "+", "00"]) if separator else "+"
    trunk = "(0)" if code in ("49", "44", "33") and separator == " " and rng.random() < 0.3 else ""
    return f"{prefix}{code}{separator}{trunk}{grouped(national, sizes, separator)}"


def phone_national(rng: R) -> str:
    """A number that only its name tells from an id."""
    return rng.choice(
        [
            "".join(_nanp(rng)),
            grouped("0" + digits(rng, 9, "1234567"), (2, 2, 2, 2), rng.choice([" ", ".", "-"])),
            "030" + rng.choice([" ", "/", "-"]) + digits(rng, 7),
            "01" + digits(rng, 2, "5679") + rng.choice([" ", "/", ""]) + digits(rng, 8),
            grouped("07" + digits(rng, 9), (5, 6), " "),
            grouped("020" + digits(rng, 8), (3, 4), " "),
            grouped("6" + digits(rng, 8), (3, 3), " "),
            grouped("090" + digits(rng, 8), (3, 4), "-"),
            "13" + digits(rng, 9),
            grouped("9" + digits(rng, 9), (5,), " "),
            "(0" + digits(rng, 2, "123") + ") " + digits(rng, 7),
            "3" + digits(rng, 9),
        ]
    )


_IBAN_SHAPES = {
    "DE": "n18", "GB": "a4n14", "FR": "n10c11n2", "ES": "n20", "IT": "a1n10c12", "NL": "a4n10", "BE": "n12", "CH": "n5c12", "AT": "n16",
    "PL": "n24", "SE": "n20", "NO": "n11", "DK": "n14", "FI": "n14", "PT": "n21", "IE": "a4n14", "CZ": "n20", "HU": "n24", "GR": "n7c16",
    "RO": "a4c16", "LU": "n3c13", "HR": "n17", "SI": "n15", "SK": "n20", "LT": "n16", "LV": "a4c13", "EE": "n16", "MT": "a4n5c18", "CY": "n8c16",
    "BG": "a4n6c8", "IS": "n22", "LI": "n5c12", "MC": "n10c11n2", "TR": "n5n1c16", "SA": "n2c18", "AE": "n19", "IL": "n19", "BR": "n23a1c1",
}  # fmt: skip


def iban(rng: R) -> str:
    country = rng.choice(list(_IBAN_SHAPES))
    shape, body = _IBAN_SHAPES[country], ""
    for kind, _, size in ((c, i, _number(shape, i + 1)) for i, c in enumerate(shape) if c.isalpha()):
        body += {"n": digits(rng, size), "a": letters(rng, size), "c": letters(rng, size, UPPER + DIGITS)}[kind]
    check = 98 - int("".join(str(int(c, 36)) for c in body + country + "00")) % 97
    full = f"{country}{check:02}{body}"
    separator = rng.choice(["", "", " ", " ", "-"])
    text = grouped(full, [4] * (len(full) // 4), separator)
    return rng.choice([text, text, text.lower()])


def _number(shape: str, start: int) -> int:
    end = start
    while end < len(shape) and shape[end].isdigit():
        end += 1
    return int(shape[start:end])


_CARDS = [("4", 16), ("4", 16), ("51", 16), ("55", 16), ("2221", 16), ("2720", 16), ("34", 15), ("37", 15), ("6011", 16), ("65", 16), ("644", 16), ("3530", 16), ("3589", 16), ("36", 14), ("30", 14), ("38", 14), ("62", 16)]  # fmt: skip


def card(rng: R) -> str:
    prefix, size = rng.choice(_CARDS)
    if prefix == "30":
        prefix += rng.choice("012345")
    number = luhn(prefix + digits(rng, size - 1 - len(prefix)))
    sizes = {16: (4, 4, 4), 15: (4, 6), 14: (4, 6)}[size]
    return grouped(number, sizes, rng.choice(["", "", " ", " ", "-"]))


def card_named(rng: R) -> str:
    """A card of a length or range that ids share: 12, 13 and 19 digits, Maestro."""
    prefix, size = rng.choice(
        [
            ("4", 13),
            ("4", 19),
            ("5018", 12),
            ("5020", 13),
            ("6759", 14),
            ("56", 16),
            ("67", 18),
            ("62", 19),
            ("6304", 15),
        ]
    )
    return luhn(prefix + digits(rng, size - 1 - len(prefix)))


def ssn_formatted(rng: R) -> str:
    area = rng.choice([a for a in range(1, 900) if a != 666])
    return rng.choice("--- .").join((f"{area:03}", f"{rng.randint(1, 99):02}", f"{rng.randint(1, 9999):04}"))


def ssn_digits(rng: R) -> str:
    return "".join(c for c in ssn_formatted(rng) if c.isdigit())
