"""Generators of identifiers of Asia, Oceania, Africa and the Americas, of wallets, hosts, places and dates."""

import hashlib
import random

from tests.corpora.pii_europe import _until
from tests.corpora.pii_values import DIGITS, UPPER, date, digits, grouped, letters, luhn, weighted

R = random.Random

_D5 = [[(i + j) % 5 if i < 5 and j < 5 else 0 for j in range(10)] for i in range(10)]


def _dihedral(a: int, b: int) -> int:
    """The product of two elements of the dihedral group of order ten."""
    if a < 5:
        return (a + b) % 5 if b < 5 else 5 + (a + b - 5) % 5
    return 5 + (a - 5 - b) % 5 if b < 5 else (a - b) % 5


_SHIFT = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(body: str) -> str:
    """``body`` with its Verhoeff digit."""
    for last in DIGITS:
        state = 0
        for place, d in enumerate(reversed(body + last)):
            value = int(d)
            for _ in range(place % 8):
                value = _SHIFT[value]
            state = _dihedral(state, value)
        if state == 0:
            return body + last
    raise AssertionError(body)


def aadhaar(rng: R) -> str:
    return grouped(verhoeff(digits(rng, 11, "23456789")), (4, 4), rng.choice([" ", " ", "-", ""]))


def pan(rng: R) -> str:
    return f"{letters(rng, 3)}{rng.choice('PPPCHF')}{letters(rng, 1)}{rng.randint(1, 9999):04}{letters(rng, 1)}"


def epic(rng: R) -> str:
    return letters(rng, 3) + luhn(digits(rng, 6))


def in_passport(rng: R) -> str:
    return letters(rng, 1, "JKLMNPRSTUVWZ") + digits(rng, 1, "123456789") + digits(rng, 5) + digits(rng, 1, "123456789")


def in_vehicle(rng: R) -> str:
    state = rng.choice(["MH", "DL", "KA", "TN", "UP", "GJ", "RJ", "WB", "AP", "TS", "KL", "HR", "PB", "MP"])
    return rng.choice(["", " ", "-"]).join(
        (state, f"{rng.randint(1, 99):02}", letters(rng, 2, "ABCDEFGHJKLMNPQRSTUVWXYZ"), digits(rng, 4, "123456789"))
    )


def gstin(rng: R) -> str:
    body = f"{rng.choice([7, 27, 29, 33, 9, 24]):02}{pan(rng)}1Z"
    table = DIGITS + UPPER
    total = sum(sum(divmod(table.index(c) * (1 if i % 2 == 0 else 2), 36)) for i, c in enumerate(body))
    return body + table[-total % 36]


def nric(rng: R) -> str:
    kind, body = rng.choice("STFG"), digits(rng, 7)
    total = weighted(body, (2, 7, 6, 5, 4, 3, 2)) + (4 if kind in "TG" else 0)
    return kind + body + ("JZIHGFEDCBA" if kind in "ST" else "XWUTRQPNMLK")[total % 11]


def rrn(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{year % 100:02}{month:02}{day:02}{rng.choice('12')}{rng.randint(0, 95):02}{digits(rng, 3)}"
    check = (11 - weighted(body, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)) % 11) % 10
    return f"{body[:6]}{rng.choice(['-', '-', ''])}{body[6:]}{check}"


def thai(rng: R) -> str:
    body = digits(rng, 12, "12345678")
    text = body + str((11 - weighted(body, range(13, 1, -1)) % 11) % 10)
    return grouped(text, (1, 4, 5, 2), rng.choice(["-", "-", " ", ""]))


def resident(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{rng.choice(['110101', '310104', '440305', '510107', '320102'])}{year}{month:02}{day:02}{digits(rng, 3)}"
    return body + "10X98765432"[sum(int(c) * 2 ** (17 - i) for i, c in enumerate(body)) % 11]


def my_number(rng: R) -> str:
    body = digits(rng, 11, "123456789")
    rest = weighted(body, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return grouped(body + str(0 if rest < 2 else 11 - rest), (4, 4), rng.choice(["", " ", "-"]))


def tckn(rng: R) -> str:
    body = digits(rng, 9, "123456789")
    odd, even = weighted(body, (1, 0) * 5), weighted(body, (0, 1) * 5)
    tenth = (odd * 7 - even) % 10
    return f"{body}{tenth}{(sum(map(int, body)) + tenth) % 10}"


def hkid(rng: R) -> str:
    prefix, body = letters(rng, rng.choice([1, 1, 2])), digits(rng, 6)
    values = [36 if c == " " else int(c, 36) for c in (prefix + body).rjust(8)]
    check = -sum(v * w for v, w in zip(values, range(9, 1, -1), strict=True)) % 11
    digit = "0123456789A"[check]
    return f"{prefix}{body}" + rng.choice([digit, f"({digit})"])


def tw_id(rng: R) -> str:
    letter = rng.choice("ABCDEFGHJKLMN")
    region = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(letter) + 10
    body = rng.choice("12") + digits(rng, 7)
    total = region // 10 + region % 10 * 9 + weighted(body, range(8, 0, -1))
    return letter + body + str(-total % 10)


def mykad(rng: R) -> str:
    year, month, day = date(rng)
    return grouped(
        f"{year % 100:02}{month:02}{day:02}{rng.randint(1, 14):02}{digits(rng, 4)}", (6, 2), rng.choice(["-", "-", ""])
    )


def nik(rng: R) -> str:
    year, month, day = date(rng)
    return f"{rng.choice(['3171', '3273', '3578', '3374'])}{rng.randint(1, 9):02}{day + rng.choice([0, 40]):02}{month:02}{year % 100:02}{digits(rng, 4)}"


def cnic(rng: R) -> str:
    return grouped(
        f"{rng.choice('3461')}{rng.choice('1234')}{digits(rng, 3, '12')}{digits(rng, 7)}{rng.choice('123456789')}",
        (5, 7),
        rng.choice(["-", "-", ""]),
    )


def il_id(rng: R) -> str:
    return luhn(digits(rng, 8, "0123"))


def emirates(rng: R) -> str:
    return grouped(luhn(f"784{rng.randint(1950, 2005)}{digits(rng, 7)}"), (3, 4, 7), rng.choice(["-", "-", ""]))


def abn(rng: R) -> str:
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)

    def draw() -> str | None:
        text = digits(rng, 11, "123456789")
        return text if text >= "11" and (weighted(text, weights) - 10) % 89 == 0 else None

    return grouped(_until(rng, draw), (2, 3, 3), rng.choice([" ", ""]))


def acn(rng: R) -> str:
    body = digits(rng, 8)
    return grouped(body + str(-weighted(body, range(8, 0, -1)) % 10), (3, 3), rng.choice([" ", ""]))


def tfn(rng: R) -> str:
    def draw() -> str | None:
        text = digits(rng, 9, "123456789")
        return text if weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0 else None

    return grouped(_until(rng, draw), (3, 3), rng.choice([" ", "", "-"]))


def medicare(rng: R) -> str:
    body = digits(rng, 8, "23456")
    text = f"{body}{weighted(body, (1, 3, 7, 9) * 2) % 10}1"
    return grouped(text, (4, 5), rng.choice([" ", "", "-"]))


def ird(rng: R) -> str:
    def draw() -> str | None:
        body = f"{rng.randint(1_000_000, 14_000_000):08}"
        check = -weighted(body, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return None if check == 10 else body.lstrip("0") + str(check)

    text = _until(rng, draw)
    return rng.choice([text, f"{text[:-6]}-{text[-6:-3]}-{text[-3:]}"])


def za_id(rng: R) -> str:
    year, month, day = date(rng)
    return luhn(f"{year % 100:02}{month:02}{day:02}{digits(rng, 4)}{rng.choice('01')}8")


def _mod11(body: str, first: int) -> str:
    rest = sum(int(d) * (first - i if first - i > 1 else first - i + 8) for i, d in enumerate(body)) % 11
    return body + str(0 if rest < 2 else 11 - rest)


def cpf(rng: R) -> str:
    body = digits(rng, 9)
    for first in (10, 11):
        rest = sum(int(d) * (first - i) for i, d in enumerate(body)) % 11
        body += str(0 if rest < 2 else 11 - rest)
    return rng.choice([body, f"{body[:3]}.{body[3:6]}.{body[6:9]}-{body[9:]}"])


def cnpj(rng: R) -> str:
    body = _mod11(_mod11(f"{digits(rng, 8)}0001", 5), 6)
    return rng.choice([body, f"{body[:2]}.{body[2:5]}.{body[5:8]}/{body[8:12]}-{body[12:]}"])


def curp(rng: R) -> str:
    year, month, day = date(rng)
    body = f"{letters(rng, 1, 'GLMRS')}{rng.choice('AEIOU')}{letters(rng, 2, 'GLMRTZ')}{year % 100:02}{month:02}{day:02}{rng.choice('HM')}{rng.choice(['DF', 'JC', 'NL', 'PL'])}{letters(rng, 3, 'BCDFGLMNRST')}0"
    table = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    return body + str(-sum(table.index(c) * (18 - i) for i, c in enumerate(body)) % 10)


def rfc(rng: R) -> str:
    year, month, day = date(rng)
    return f"{letters(rng, 1, 'GLMRS')}{rng.choice('AEIO')}{letters(rng, 2, 'GLRTZ')}{year % 100:02}{month:02}{day:02}{letters(rng, 2, 'ABCDEFGH')}{rng.choice(DIGITS)}"


def cuit(rng: R) -> str:
    def draw() -> str | None:
        body = rng.choice(["20", "23", "27"]) + digits(rng, 8, "1234")
        check = -weighted(body, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
        return None if check == 10 else body + str(check)

    return grouped(_until(rng, draw), (2, 8), rng.choice(["-", "-", ""]))


def rut(rng: R) -> str:
    body = str(rng.randint(5_000_000, 25_000_000))
    total = sum(int(d) * (2 + i % 6) for i, d in enumerate(reversed(body)))
    check = "0123456789K0"[-total % 11]
    return rng.choice([f"{body}-{check}", f"{body[:-6]}.{body[-6:-3]}.{body[-3:]}-{check}"])


def ec_ci(rng: R) -> str:
    return luhn(f"{rng.randint(1, 24):02}{digits(rng, 7, '012345')}")


def sin(rng: R) -> str:
    return grouped(luhn(digits(rng, 8, "1234567")), (3, 3), rng.choice(["-", " ", ""]))


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def bitcoin(rng: R) -> str:
    body = bytes([rng.choice([0, 5])]) + rng.randbytes(20)
    body += hashlib.sha256(hashlib.sha256(body).digest()).digest()[:4]
    number, text = int.from_bytes(body, "big"), ""
    while number:
        number, rest = divmod(number, 58)
        text = _BASE58[rest] + text
    return "1" * (len(body) - len(body.lstrip(b"\0"))) + text


def ethereum(rng: R) -> str:
    return f"0x{rng.getrandbits(160):040x}"


def ipv4(rng: R) -> str:
    return (
        f"{rng.choice([8, 23, 34, 52, 81, 104, 151])}.{rng.randint(1, 254)}.{rng.randint(1, 254)}.{rng.randint(1, 254)}"
    )


def ipv6(rng: R) -> str:
    return ":".join(["2a02", f"{rng.getrandbits(16):x}", *(f"{rng.getrandbits(16):x}" for _ in range(6))])


def mac(rng: R) -> str:
    return rng.choice(":-").join(f"{rng.getrandbits(8):02x}" for _ in range(6))


def url(rng: R) -> str:
    return f"https://{rng.choice(['www.', '', 'intranet.'])}example-{digits(rng, 3)}.{rng.choice(['com', 'org', 'de'])}/{letters(rng, 6).lower()}?q={digits(rng, 2)}"


def point(rng: R) -> str:
    return f"{rng.uniform(-89, 89):.5f}, {rng.uniform(-179, 179):.5f}"


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def birth(rng: R) -> str:
    year, month, day = date(rng)
    return rng.choice(
        [
            f"{year}-{month:02}-{day:02}",
            f"{day:02}.{month:02}.{year}",
            f"{month:02}/{day:02}/{year}",
            f"{day} {MONTHS[month - 1]} {year}",
            f"{MONTHS[month - 1]} {day}, {year}",
            f"{day:02}/{month:02}/{year % 100:02}",
        ]
    )


def vin(rng: R) -> str:
    table = dict(
        zip(
            "ABCDEFGHJKLMNPRSTUVWXYZ",
            (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9),
            strict=True,
        )
    )
    body = letters(rng, 3, "WVJ1") + letters(rng, 10, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789") + digits(rng, 4)
    total = sum(
        (table[c] if c in table else int(c)) * w
        for c, w in zip(body, (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2), strict=True)
    )
    return f"{body[:8]}{'0123456789X'[total % 11]}{body[9:]}"


def imei(rng: R) -> str:
    return luhn(f"35{digits(rng, 12)}")


def record(rng: R) -> str:
    return digits(rng, 8)
