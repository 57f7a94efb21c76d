"""Second looks at addresses of cryptocurrency wallets."""

import hashlib

from sentra.confirm import Hit, confirm

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BECH32_SUMS = (1, 0x2BC830A3)
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_LANES = 1 << 64


@confirm
def wallet(hit: Hit) -> bool:
    """Base58Check, Bech32 or Bech32m (BIP 173, 350) for Bitcoin and its kin, EIP-55 for a mixed-case Ethereum address."""
    value = hit.value
    if value.lower().startswith("0x"):
        digits = value[2:]
        return digits in (digits.lower(), digits.upper()) or _eip55(digits)
    if value.lower().startswith(("bc1", "tb1", "ltc1")):
        return _bech32(value)
    return base58check(value)


def base58check(text: str) -> bool:
    """Does ``text`` end in the first four bytes of the double SHA-256 of what it encodes?"""
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    body = number.to_bytes((number.bit_length() + 7) // 8, "big").rjust(25, b"\0")
    return hashlib.sha256(hashlib.sha256(body[:-4]).digest()).digest()[:4] == body[-4:]


def _bech32(text: str) -> bool:
    prefix, _, data = text.lower().rpartition("1")
    if text not in (text.lower(), text.upper()):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix] + [_BECH32.index(c) for c in data]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for place, factor in enumerate(_GENERATOR):
            check ^= factor if top >> place & 1 else 0
    return check in _BECH32_SUMS


def _eip55(digits: str) -> bool:
    """A letter is a capital where the same digit of the hash of the lower-case address is 8 or more."""
    hashed = keccak256(digits.lower().encode()).hex()
    return all(c.isdigit() or c.isupper() == (int(h, 16) >= 8) for c, h in zip(digits, hashed, strict=False))


def keccak256(text: bytes) -> bytes:
    """Keccak-256 of at most 135 bytes, with the padding from before FIPS 202, as Ethereum uses it."""
    block = bytearray(text + b"\x01" + bytes(135 - len(text)))
    block[-1] |= 0x80
    lanes = [[0] * 5 for _ in range(5)]
    for place in range(17):
        lanes[place % 5][place // 5] = int.from_bytes(block[8 * place : 8 * place + 8], "little")
    register = 1
    for _ in range(24):
        lanes, register = _round(lanes, register)
    return b"".join(lanes[place % 5][place // 5].to_bytes(8, "little") for place in range(4))


def _round(lanes: list[list[int]], register: int) -> tuple[list[list[int]], int]:
    columns = [a[0] ^ a[1] ^ a[2] ^ a[3] ^ a[4] for a in lanes]
    mixed = [columns[(x + 4) % 5] ^ _turn(columns[(x + 1) % 5], 1) for x in range(5)]
    lanes = [[lane ^ mixed[x] for lane in lanes[x]] for x in range(5)]
    x, y, current = 1, 0, lanes[1][0]
    for step in range(24):
        x, y = y, (2 * x + 3 * y) % 5
        current, lanes[x][y] = lanes[x][y], _turn(current, (step + 1) * (step + 2) // 2)
    lanes = [[lanes[x][y] ^ (~lanes[(x + 1) % 5][y] & lanes[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
    for bit in range(7):
        register = (register << 1 ^ (register >> 7) * 0x71) % 256
        if register & 2:
            lanes[0][0] ^= 1 << (1 << bit) - 1
    return lanes, register


def _turn(lane: int, by: int) -> int:
    return (lane >> (64 - by % 64) | lane << by % 64) % _LANES
