"""Second looks at tokens that carry a checksum.

A valid checksum makes a hit certain. A failing one clears nothing: truncated, newer and planted forms fail, too.
"""

import zlib
from base64 import urlsafe_b64decode
from collections.abc import Callable
from hashlib import sha256

from sentra.confirm import Confirm, Hit, confirm, factory
from sentra.confirm.secrets import credible, inside_blob

BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_CONSTANTS = (1, 0x2BC830A3)
_MASK = 0xFFFFFFFF

AZURE_SEEDS: dict[str, tuple[str, ...]] = {
    "+ASt": ("Default0",),
    "+ABa": ("AbAcct00",),
    "ACDb": ("MastRO00", "MastRW00", "SysAll00", "Resour00", "SystRO00", "SystRW00", "Encryp00"),
    "+AMC": ("Classic0",),
    "APIM": ("Tenant00", "IoTHub00", "Gateway0", "GitKey00"),
    "+ASb": ("Send0000", "Listen00", "Manage00", "System00", "Unknown0"),
    "+AEh": ("Send0000", "Listen00", "Manage00", "System00", "Unknown0"),
    "+ARm": ("Send0000", "Listen00", "Manage00", "Unknown0"),
    "AIoT": ("IoTHub00", "DpsKey00", "Device00"),
    "AzCa": ("Access00",),
    "+ACR": ("ACRDflt0",),
    "AzSe": ("Query000", "PAdmin00"),
    "AzFu": ("Master00", "System00", "Functi00"),
    "+SQL": ("UsrPwd00",),
}
"""Seeds of the Marvin checksum by a key's signature (Microsoft security-utilities, identifiable metadata)."""


@factory
def checked(argument: str) -> Confirm:
    """The value's checksum of the kind ``argument`` is valid, or else the value passes ``token``."""
    valid = CHECKSUMS[argument]
    return lambda hit: valid(hit.value) or (credible(hit.value) and not inside_blob(hit))


@factory
def checksum(argument: str) -> Confirm:
    """The value's checksum of the kind ``argument`` is valid: for shapes that are too weak alone."""
    valid = CHECKSUMS[argument]
    return lambda hit: valid(hit.value)


@confirm
def azure_signature(hit: Hit) -> bool:
    """The value holds its service's signature where Azure puts it: four characters before the last eight bytes."""
    return _azure_signature(hit.value) is not None


def crc32_base62(value: str) -> bool:
    """The last six characters are the CRC-32 of the thirty before, in base 62 (GitHub and npm tokens)."""
    body = value.rpartition("_")[2]
    return len(body) == 36 and to_base62(zlib.crc32(body[:30].encode()), 6) == body[30:]


def to_base62(number: int, width: int) -> str:
    """``number`` in base 62, padded with zeros to ``width`` digits.

    >>> to_base62(62, 6)
    '000010'
    """
    return _to_base(number, BASE62, width)


def _to_base(number: int, alphabet: str, width: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits)).rjust(width, alphabet[0])


def crc32_hex(value: str) -> bool:
    """Eight hex digits after the last ``_`` or ``=`` are the CRC-32 of what stands before (Grafana, Atlassian)."""
    body, digits = value[:-9], value[-8:].lower()
    number = zlib.crc32(body.encode())
    return value[-9:-8] in ("_", "=") and digits in (f"{number:08x}", number.to_bytes(4, "little").hex())


def gitlab(value: str) -> bool:
    """A routable token ends with its payload's length in two, and a CRC-32 in seven digits of base 36."""
    body, dot, tail = value.rpartition(".")
    payload = body.rpartition("-")[2] if body.count("-") == 1 else body.partition("-")[2]
    if not dot or len(tail) != 9 or _to_base(len(payload), _BASE36, 2) != tail[:2]:
        return False
    return _to_base(zlib.crc32(value[:-7].encode()), _BASE36, 7) == tail[2:]


def azure(value: str) -> bool:
    """The last four bytes are the Marvin checksum of the bytes before, under one of the signature's seeds."""
    raw = urlsafe_b64decode(value.replace("+", "-").replace("/", "_"))
    signature = _azure_signature(value) or ""
    found = int.from_bytes(raw[-4:], "little")
    return any(marvin32(raw[:-4], seed.encode()) == found for seed in AZURE_SEEDS.get(signature, ()))


def _azure_signature(value: str) -> str | None:
    """The signature stands ten characters before the padding: base64 of the bytes 12 to 9 before the end, roughly."""
    bare = value.rstrip("=")
    signature = bare[-10:-6]
    return signature if signature in AZURE_SEEDS else None


def marvin32(data: bytes, seed: bytes) -> int:
    """Marvin checksum of ``data`` in 32 bits under an eight-byte ``seed``, the high half folded into the low one."""
    state = int.from_bytes(seed, "big")
    low, high = state & _MASK, state >> 32
    whole = len(data) - len(data) % 4
    words = [int.from_bytes(data[i : i + 4], "little") for i in range(0, whole, 4)]
    words.append(int.from_bytes(data[whole:] + b"\x80", "little"))
    for word in (*words, 0):
        low, high = _marvin_block(low + word & _MASK, high)
    return low ^ high


def _marvin_block(low: int, high: int) -> tuple[int, int]:
    high ^= low
    low = _rotate(low, 20) + high & _MASK
    high = _rotate(high, 9) ^ low
    low = _rotate(low, 27) + high & _MASK
    return low, _rotate(high, 19)


def _rotate(word: int, bits: int) -> int:
    return (word << bits | word >> (32 - bits)) & _MASK


def base58check(value: str) -> bool:
    """The last four bytes of the base 58 number are those of a double SHA-256 of the bytes before."""
    number = 0
    for character in value:
        number = number * 58 + _BASE58.index(character)
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return sha256(sha256(raw[:-4]).digest()).digest()[:4] == raw[-4:]


def bech32(value: str) -> bool:
    """The last six characters are the BCH code of prefix and data (BIP 173, BIP 350); age keys use it in upper case."""
    prefix, one, data = value.lower().rpartition("1")
    if not one or any(character not in _BECH32 for character in data):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    return _polymod(values) in _BECH32_CONSTANTS


def _polymod(values: list[int]) -> int:
    state = 1
    for value in values:
        top = state >> 25
        state = (state & 0x1FFFFFF) << 5 ^ value
        for bit, term in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= term if top >> bit & 1 else 0
    return state


def _guarded(valid: Callable[[str], bool]) -> Callable[[str], bool]:
    def guarded(value: str) -> bool:
        try:
            return valid(value)
        except ValueError:
            return False

    return guarded


CHECKSUMS: dict[str, Callable[[str], bool]] = {
    check.__name__: _guarded(check) for check in (crc32_base62, crc32_hex, gitlab, azure, base58check, bech32)
}
