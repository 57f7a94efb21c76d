"""Generators of identifiers of the United States, the United Kingdom and Europe."""

import random
from collections.abc import Callable
from typing import TypeAlias

from tests.corpora.pii_values import DIGITS, UPPER, date, digits, grouped, letters, luhn, weighted

R = random.Random
Make: TypeAlias = Callable[[R], str]
Entry: TypeAlias = tuple[Make, tuple[str, ...], tuple[str, ...]]


def _until(rng: R, draw: Callable[[], str | None]) -> str:
    """The first value that ``draw`` does not refuse."""
    while (value := draw()) is None:
        pass
    return value


def itin(rng: R) -> str:
    group = rng.choice([*range(50, 66), *range(70, 89), *range(90, 93), *range(94, 100)])
    return rng.choice(["-", " ", "-", ""]).join((digits(rng, 3, "9"), f"{group}", digits(rng, 4)))


def ein(rng: R) -> str:
    return f"{rng.choice(['10', '12', '20', '27', '33', '45', '52', '61', '74', '81', '95'])}{rng.choice(['-', '-', ''])}{digits(rng, 7)}"


def mbi(rng: R) -> str:
    a, n = "ACDEFGHJKMNPQRTUVWXY", DIGITS
    kinds = ("123456789", a, a + n, n, a, a + n, n, a, a, n, n)
    return grouped("".join(rng.choice(kind) for kind in kinds), (4, 3), rng.choice(["-", ""]))


def npi(rng: R) -> str:
    return luhn("80840" + digits(rng, 9, "12"))[5:]


def dea(rng: R) -> str:
    d = digits(rng, 6)
    check = (weighted(d, (1, 0, 1, 0, 1)) + 2 * weighted(d, (0, 1, 0, 1, 0, 1))) % 10
    return rng.choice("ABCFGM") + rng.choice(UPPER) + d + str(check)


def aba(rng: R) -> str:
    body = f"{rng.choice([*range(1, 13), *range(21, 33)]):02}{digits(rng, 6)}"
    return body + str(-weighted(body, (3, 7, 1, 3, 7, 1, 3, 7)) % 10)


def us_account(rng: R) -> str:
    return digits(rng, rng.randint(8, 14))


def us_passport(rng: R) -> str:
    return rng.choice([digits(rng, 9, "3456"), letters(rng, 1) + digits(rng, 8)])


def us_licence(rng: R) -> str:
    return rng.choice(
        [letters(rng, 1) + digits(rng, 7), letters(rng, 1) + digits(rng, 12), digits(rng, 8), digits(rng, 9)]
    )


def nhs(rng: R) -> str:
    def draw() -> str | None:
        body = digits(rng, 9, "4679")
        check = -weighted(body, range(10, 1, -1)) % 11
        return None if check == 10 else body + str(check)

    return grouped(_until(rng, draw), (3, 3), rng.choice([" ", "-", ""]))


def nino(rng: R) -> str:
    prefix = rng.choice(
        ["AB", "CE", "EH", "GH", "HJ", "JK", "LM", "MN", "NP", "PR", "RS", "SX", "TW", "WB", "YZ", "ZE", "AA", "JC"]
    )
    text = prefix + digits(rng, 6) + rng.choice("ABCD")
    shaped = grouped(text, (2, 2, 2, 2), rng.choice([" ", "", "-"]))
    return rng.choice([shaped, shaped, shaped.lower()])


def utr(rng: R) -> str:
    body = digits(rng, 9)
    return "21987654321"[weighted(body, (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11] + body


def uk_licence(rng: R) -> str:
    _, month, day = date(rng)
    name = letters(rng, 5)
    return f"{name}{rng.choice('5678')}{month + rng.choice([0, 50]):02}{day:02}{rng.choice(DIGITS)}{letters(rng, 1)}9{rng.choice(DIGITS)}{letters(rng, 2)}"


_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"


def nif(rng: R) -> str:
    body = digits(rng, 8)
    plain = body + rng.choice(["", "-", " "]) + _DNI[int(body) % 23]
    return rng.choice([plain, plain, plain.lower(), f"{body[:2]}.{body[2:5]}.{body[5:]}-{_DNI[int(body) % 23]}"])


def nie(rng: R) -> str:
    first = rng.randrange(3)
    body = digits(rng, 7)
    separator = rng.choice(["", "-", " "])
    return separator.join(("XYZ"[first], body, _DNI[int(f"{first}{body}") % 23]))


_ODD = dict(zip(DIGITS + UPPER, (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True))  # fmt: skip


def codice(rng: R) -> str:
    year, month, day = date(rng)
    body = (
        letters(rng, 6, "BCDFGLMNPRSTVZ")
        + f"{year % 100:02}{'ABCDEHLMPRST'[month - 1]}{day + rng.choice([0, 40]):02}"
        + rng.choice(["H501", "F205", "L219", "A944", "Z404"])
    )
    total = sum(_ODD[c] if i % 2 == 0 else (int(c) if c.isdigit() else UPPER.index(c)) for i, c in enumerate(body))
    text = body + UPPER[total % 26]
    return rng.choice([text, text, text.lower(), grouped(text, (3, 3, 5), " ")])


def iva(rng: R) -> str:
    return rng.choice(["", "IT"]) + luhn(digits(rng, 7, "01") + f"{rng.randint(1, 100):03}")


def nir(rng: R) -> str:
    year, month, _ = date(rng)
    body = f"{rng.choice('12')}{year % 100:02}{month:02}{rng.choice([rng.randint(1, 19), rng.randint(21, 95)]):02}{rng.randint(1, 990):03}{rng.randint(1, 999):03}"
    return grouped(f"{body}{97 - int(body) % 97:02}", (1, 2, 2, 2, 3, 3), rng.choice(["", " ", " "]))


def de_tax(rng: R) -> str:
    places = rng.sample(DIGITS[1:], 9)
    body = [*places, rng.choice(places[1:])]
    rest = 10
    for d in body:
        rest = ((rest + int(d)) % 10 or 10) * 2 % 11
    return grouped("".join(body) + str((11 - rest) % 10), (2, 3, 3), rng.choice(["", " "]))


def _icao(text: str) -> str:
    return str(sum(int(c, 36) * (7, 3, 1)[i % 3] for i, c in enumerate(text)) % 10)


def de_card(rng: R) -> str:
    body = rng.choice("LMNPRTVWXY") + letters(rng, 8, "CFGHJKLMNPRTVWXYZ0123456789")
    return body + rng.choice(["", _icao(body)])


def de_passport(rng: R) -> str:
    body = "C" + letters(rng, 8, "CFGHJKLMNPRTVWXYZ0123456789")
    return body + rng.choice(["", _icao(body)])


def de_pension(rng: R) -> str:
    year, month, day = date(rng)
    letter = rng.choice(UPPER)
    head, serial = f"{rng.randint(2, 29):02}{day:02}{month:02}{year % 100:02}", digits(rng, 2)
    spread = f"{head}{UPPER.index(letter) + 1:02}{serial}"
    total = sum(sum(divmod(int(c) * w, 10)) for c, w in zip(spread, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return grouped(f"{head}{letter}{serial}{total % 10}", (2, 6, 1), rng.choice(["", " "]))


def pesel(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{year % 100:02}{month:02}{day:02}{digits(rng, 4)}"
    return body + str(-weighted(body, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def pl_nip(rng: R) -> str:
    def draw() -> str | None:
        body = digits(rng, 9, "123456789")
        check = weighted(body, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11
        return None if check == 10 else body + str(check)

    return grouped(_until(rng, draw), (3, 3, 2), rng.choice(["", "-"]))


def pl_card(rng: R) -> str:
    series, body = letters(rng, 3), digits(rng, 5)
    total = sum(int(c, 36) * w for c, w in zip(series + body, (7, 3, 1, 7, 3, 1, 7, 3), strict=True))
    return f"{series}{rng.choice(['', ' '])}{total % 10}{body}"


def personnummer(rng: R) -> str:
    year, month, day = date(rng)
    number = luhn(f"{year % 100:02}{month:02}{day:02}{digits(rng, 3)}")
    return rng.choice(
        [f"{number[:6]}-{number[6:]}", f"{year // 100}{number[:6]}-{number[6:]}", number, f"{year // 100}{number}"]
    )


def hetu(rng: R) -> str:
    year, month, day = date(rng)
    head, serial = f"{day:02}{month:02}{year % 100:02}", f"{rng.randint(2, 899):03}"
    return f"{head}-{serial}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(head + serial) % 31]}"


def fodselsnummer(rng: R) -> str:
    def draw() -> str | None:
        year, month, day = date(rng, 1940, 1999)
        body = f"{day:02}{month:02}{year % 100:02}{rng.randint(0, 499):03}"
        first = -weighted(body, (3, 7, 6, 1, 8, 9, 4, 5, 2)) % 11
        second = -weighted(body + str(first % 10), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return None if 10 in (first, second) else f"{body}{first}{second}"

    return grouped(_until(rng, draw), (6,), rng.choice(["", " "]))


def cpr(rng: R) -> str:
    year, month, day = date(rng, 1940, 1999)
    return f"{day:02}{month:02}{year % 100:02}{rng.choice(['-', '-', ''])}{rng.randint(0, 3)}{digits(rng, 3)}"


def kennitala(rng: R) -> str:
    def draw() -> str | None:
        year, month, day = date(rng)
        body = f"{day:02}{month:02}{year % 100:02}{rng.randint(20, 99)}"
        check = -weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return None if check == 10 else f"{body}{check}9"

    return grouped(_until(rng, draw), (6,), rng.choice(["-", ""]))


def bsn(rng: R) -> str:
    def draw() -> str | None:
        body = digits(rng, 8, "123456789")
        check = weighted(body, range(9, 1, -1)) % 11
        return None if check == 10 else body + str(check)

    return grouped(_until(rng, draw), rng.choice([(4, 2), (3, 3)]), rng.choice(["", "", ".", " "]))


def be_rrn(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{year % 100:02}{month:02}{day:02}{rng.randint(1, 997):03}"
    text = f"{body}{97 - int(body) % 97:02}"
    return rng.choice([text, f"{text[:2]}.{text[2:4]}.{text[4:6]}-{text[6:9]}.{text[9:]}"])


def pt_nif(rng: R) -> str:
    body = digits(rng, 8, "1235")
    check = -weighted(body, range(9, 1, -1)) % 11
    return grouped(body + str(check % 10), (3, 3), rng.choice(["", " "]))


def rodne(rng: R) -> str:
    def draw() -> str | None:
        year, month, day = date(rng, 1955, 1999)
        body = f"{year % 100:02}{month + rng.choice([0, 50]):02}{day:02}{digits(rng, 3)}"
        return None if int(body) % 11 == 10 else body + str(int(body) % 11)

    return grouped(_until(rng, draw), (6,), rng.choice(["/", "/", ""]))


def ean13(body: str) -> str:
    return body + str(-weighted(body, (1, 3) * 6) % 10)


def ahv(rng: R) -> str:
    return grouped(ean13("756" + digits(rng, 9)), (3, 4, 4), rng.choice([".", ".", " ", ""]))


def pps(rng: R) -> str:
    body = digits(rng, 7)
    return body + "WABCDEFGHIJKLMNOPQRSTUV"[weighted(body, range(8, 1, -1)) % 23]


def svnr(rng: R) -> str:
    def draw() -> str | None:
        year, month, day = date(rng)
        body = f"{digits(rng, 3, '123456789')}0{day:02}{month:02}{year % 100:02}"
        check = weighted(body, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11
        return None if check == 10 else f"{body[:3]}{check}{body[4:]}"

    return grouped(_until(rng, draw), (4,), rng.choice([" ", ""]))


def amka(rng: R) -> str:
    year, month, day = date(rng)
    return luhn(f"{day:02}{month:02}{year % 100:02}{digits(rng, 4)}")


def cnp(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{rng.choice('12')}{year % 100:02}{month:02}{day:02}{rng.randint(1, 46):02}{rng.randint(1, 999):03}"
    return body + "01234567891"[weighted(body, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11]


def egn(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{year % 100:02}{month:02}{day:02}{digits(rng, 3)}"
    return body + str(weighted(body, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10)


def oib(rng: R) -> str:
    body, rest = digits(rng, 10), 10
    for d in body:
        rest = ((rest + int(d)) % 10 or 10) * 2 % 11
    return body + str((11 - rest) % 10)


def baltic(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{rng.choice('34')}{year % 100:02}{month:02}{day:02}{digits(rng, 3)}"
    check = weighted(body, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    return body + str(check if check < 10 else weighted(body, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10)


def emso(rng: R) -> str:
    def draw() -> str | None:
        year, month, day = date(rng)
        body = f"{day:02}{month:02}{year % 1000:03}50{digits(rng, 3)}"
        check = -weighted(body, (7, 6, 5, 4, 3, 2) * 2) % 11
        return None if check == 10 else body + str(check)

    return _until(rng, draw)


def hu_tax(rng: R) -> str:
    def draw() -> str | None:
        body = "8" + digits(rng, 8)
        check = weighted(body, range(1, 10)) % 11
        return None if check == 10 else body + str(check)

    return _until(rng, draw)


def inn(rng: R) -> str:
    body = digits(rng, 10)
    first = weighted(body, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return f"{body}{first}{weighted(f'{body}{first}', (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10}"


def snils(rng: R) -> str:
    body = digits(rng, 9, "1")
    check = f"{weighted(body, range(9, 0, -1)) % 101 % 100:02}"
    return rng.choice([f"{body[:3]}-{body[3:6]}-{body[6:]} {check}", body + check])
