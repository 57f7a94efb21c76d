"""Whole texts that a cheap hint shows to be turned around or enciphered by letter: reversed, rot13, atbash, morse."""

import re
from string import ascii_lowercase, ascii_uppercase

_BOTH = ascii_lowercase + ascii_uppercase
ROT13 = str.maketrans(_BOTH, ascii_lowercase[13:] + ascii_lowercase[:13] + ascii_uppercase[13:] + ascii_uppercase[:13])
ATBASH = str.maketrans(_BOTH, ascii_lowercase[::-1] + ascii_uppercase[::-1])
_WORD = re.compile(r"(\S+)")
_MARKS = ".,;:!?"
_CODES = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----. .-.-.- --..-- ..--.. -.-.-- -....- -..-. .--.-. ---..."
)
_MEANINGS = ascii_lowercase + "0123456789" + ".,?!-/@:"
MORSE = dict(zip(_CODES.split(), _MEANINGS, strict=True))
TURNED = dict(zip("ɐqɔpǝɟƃƃɓɥıɾʞlʃɯuodbɹsʇnʌʍxʎz¡¿˙", "abcdefggghijkllmnopqrstuvwxyz!?.", strict=True))
_TURN = str.maketrans(TURNED)
_SIGNS = str.maketrans("\u00b7\u2022\u2013\u2014\u2212_", "..----")


def rot13(text: str) -> str:
    """``text`` with its ASCII letters moved by thirteen places."""
    return text.translate(ROT13)


def atbash(text: str) -> str:
    """``text`` with its ASCII letters counted from the other end of the alphabet."""
    return text.translate(ATBASH)


def reversed_text(text: str) -> str:
    """``text`` read from its end."""
    return text[::-1]


def reversed_words(text: str) -> str:
    """``text`` with every word read from its end, the words in their order."""
    parts = _WORD.split(text)
    parts[1::2] = [_reversed_word(part) for part in parts[1::2]]
    return "".join(parts)


def _reversed_word(word: str) -> str:
    """``word`` from its end; a mark at either end closes it."""
    bare = word.strip(_MARKS)
    return bare[::-1] + word.replace(bare, "", 1) if bare else word


def turned(text: str) -> str:
    """``text`` that stands on its head, the right way up."""
    return text.translate(_TURN)[::-1]


def morse(text: str) -> str:
    """The letters of ``text`` in Morse code; ``/``, ``|``, line breaks and wide gaps are gaps between words."""
    words = re.split(r"\s*[/|]\s*|\s{2,}|\n", text.translate(_SIGNS))
    return " ".join("".join(MORSE.get(sign, "") for sign in word.split()) for word in words)


def morse_of(word: str) -> str:
    """``word`` in Morse code, a blank between its letters."""
    signs = {meaning: sign for sign, meaning in MORSE.items()}
    return " ".join(signs[letter] for letter in word)
