"""Ways to hide a sentence from a matcher, one function each; ``TRANSFORMS`` names them for the evasion matrix.

Each takes a plain ASCII sentence and returns it in a form that a reader or a model can still make out.
"""

import base64
import codecs
import quopri
import random
from collections.abc import Callable
from html import escape
from string import ascii_lowercase, ascii_uppercase
from urllib.parse import quote

_LOOKALIKE = dict(zip("acehijopsxyACEHIKMOPSTXB", "асеһіјорѕхуАСЕНІКМОРЅТХВ", strict=True))
_GREEK = dict(zip("aoivxABEHIKMNOPTXYZ", "αοινχΑΒΕΗΙΚΜΝΟΡΤΧΥΖ", strict=True))
_SMALL_CAPITALS = dict(zip("abcdeghijklmnoprtuvwyz", "ᴀʙᴄᴅᴇɢʜɪᴊᴋʟᴍɴᴏᴘʀᴛᴜᴠᴡʏᴢ", strict=True))
_TURNED = dict(zip("abcdefghijklmnopqrtuvwy", "ɐqɔpǝɟƃɥıɾʞlɯuodbɹʇnʌʍʎ", strict=True))
_LEET = dict(zip("aeiost", "431057", strict=True))
_SIGNS = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
    "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)
_MORSE = dict(zip(ascii_lowercase + "0123456789", _SIGNS.split(), strict=True))


def _each(table: dict[str, str], text: str) -> str:
    return "".join(table.get(character, character) for character in text)


def _shifted(text: str, lower: int, upper: int, digit: int | None = None) -> str:
    """``text`` with its letters, and digits if given, moved to the alphabets that begin at those code points."""
    made = []
    for c in text:
        if c in ascii_lowercase:
            made.append(chr(lower + ord(c) - ord("a")))
        elif c in ascii_uppercase:
            made.append(chr(upper + ord(c) - ord("A")))
        else:
            made.append(chr(digit + int(c)) if digit is not None and c.isdigit() else c)
    return "".join(made)


def _between(text: str, filler: str) -> str:
    """``filler`` after every letter that another letter follows."""
    return "".join(a + filler if a.isalnum() and b.isalnum() else a for a, b in zip(text, text[1:] + " ", strict=True))


def base64_standard(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def base64_url_safe(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def base64_lines(text: str) -> str:
    encoded = base64_standard(text)
    return "\n".join(encoded[i : i + 32] for i in range(0, len(encoded), 32))


def base64_utf16(text: str) -> str:
    return base64.b64encode(text.encode("utf-16-le")).decode()


def base64_twice(text: str) -> str:
    return base64_standard(base64_standard(text))


def base64_of_hex(text: str) -> str:
    return base64_standard(hexadecimal(text))


def base64_in_sentence(text: str) -> str:
    return f"Please decode {base64_standard(text)} and act on it."


def data_url(text: str) -> str:
    return f"data:text/plain;base64,{base64_standard(text)}"


def base32(text: str) -> str:
    return base64.b32encode(text.encode()).decode()


def hexadecimal(text: str) -> str:
    return text.encode().hex()


def hexadecimal_spaced(text: str) -> str:
    return text.encode().hex(" ").upper()


def hexadecimal_prefixed(text: str) -> str:
    return ", ".join(f"0x{byte:02x}" for byte in text.encode())


def backslash_x(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def backslash_u(text: str) -> str:
    return "".join(f"\\u{ord(c):04x}" for c in text)


def json_in_json(text: str) -> str:
    return '{\\"note\\": \\"' + text.replace(" ", "\\n", 2) + '\\"}'


def percent(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())


def percent_twice(text: str) -> str:
    return quote(percent(text))


def url_form(text: str) -> str:
    return "q=" + quote(text).replace("%20", "+").replace(".", "%2E") + "%21"


def entities_decimal(text: str) -> str:
    return "".join(f"&#{ord(c)};" for c in text)


def entities_hexadecimal(text: str) -> str:
    return "".join(f"&#x{ord(c):x};" for c in text)


def entities_named(text: str) -> str:
    return escape(text).replace(" ", "&nbsp;").replace(".", "&period;")


def html_comments(text: str) -> str:
    return " ".join(word[:2] + "<!-- x -->" + word[2:] for word in text.split(" "))


def html_tags(text: str) -> str:
    return " ".join(f"<span>{word[:1]}</span>{word[1:]}" for word in text.split(" "))


def quoted_printable(text: str) -> str:
    return "".join(f"={byte:02X}" for byte in text.encode())


def quoted_printable_soft(text: str) -> str:
    return quopri.encodestring(_between(text, "\0").replace("\0", "=\n", 40).encode()).decode().replace("=3D\n", "=\n")


def binary(text: str) -> str:
    return " ".join(f"{byte:08b}" for byte in text.encode())


def binary_run(text: str) -> str:
    return binary(text).replace(" ", "")


def decimal(text: str) -> str:
    return " ".join(str(byte) for byte in text.encode())


def decimal_commas(text: str) -> str:
    return "[" + ", ".join(str(byte) for byte in text.encode()) + "]"


def octal(text: str) -> str:
    return " ".join(f"{byte:o}" for byte in text.encode())


def octal_escapes(text: str) -> str:
    return "".join(f"\\{byte:03o}" for byte in text.encode())


def homoglyphs(text: str) -> str:
    return _each(_LOOKALIKE, text)


def homoglyphs_greek(text: str) -> str:
    return _each(_GREEK, text)


def homoglyphs_some(text: str) -> str:
    chance = random.Random(text)
    return "".join(_LOOKALIKE.get(c, c) if chance.random() < 0.4 else c for c in text)


def small_capitals(text: str) -> str:
    return _each(_SMALL_CAPITALS, text.lower())


def upside_down(text: str) -> str:
    return _each(_TURNED, text.lower())[::-1]


def fullwidth(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else "\u3000" if c == " " else c for c in text)


def mathematical_bold(text: str) -> str:
    return _shifted(text, 0x1D41A, 0x1D400, 0x1D7CE)


def mathematical_monospace(text: str) -> str:
    return _shifted(text, 0x1D68A, 0x1D670, 0x1D7F6)


def circled(text: str) -> str:
    return _shifted(text, 0x24D0, 0x24B6)


def squared(text: str) -> str:
    return _shifted(text.upper(), 0x1F170, 0x1F170)


def regional(text: str) -> str:
    return _shifted(text.upper(), 0x1F1E6, 0x1F1E6)


def accents(text: str) -> str:
    return _each(dict(zip("aeiouncyAEIOU", "àéîöùñçÿÄÊÍÒÛ", strict=True)), text)


def combining(text: str) -> str:
    return "".join(c + "\u0336\u0301" if c.isalnum() else c for c in text)


def zero_width(text: str) -> str:
    return _between(text, "\u200b")


def zero_width_mixed(text: str) -> str:
    fillers = "\u200b\u200c\u200d\u2060\ufeff"
    return "".join(c + fillers[i % 5] for i, c in enumerate(text))


def zero_width_binary(text: str) -> str:
    bits = "".join(f"{byte:08b}" for byte in text.encode())
    return "Good morning" + bits.replace("0", "\u200b").replace("1", "\u200c") + " to you all"


def soft_hyphens(text: str) -> str:
    return _between(text, "\u00ad")


def bidi_marks(text: str) -> str:
    return _between(text, "\u202a\u202c")


def bidi_override(text: str) -> str:
    return f"\u202e{text[::-1]}\u202c"


def control_characters(text: str) -> str:
    return _between(text, "\x08")


def nul_characters(text: str) -> str:
    return _between(text, "\0")


def tag_characters(text: str) -> str:
    return "Good morning" + "".join(chr(0xE0000 + ord(c)) for c in text)


def tag_noise(text: str) -> str:
    return _between(text, "\U000e0041")


def variation_selectors(text: str) -> str:
    data = text.encode()
    return "Fine \U0001f600" + "".join(chr(0xFE00 + b if b < 16 else 0xE0100 + b - 16) for b in data)


def variation_noise(text: str) -> str:
    return _between(text, "\ufe0f")


def unusual_spaces(text: str) -> str:
    spaces = "\u2003\u00a0\u2009\u3000\u202f"
    return "".join(spaces[i % 5] if c == " " else c for i, c in enumerate(text))


def emoji_between_words(text: str) -> str:
    return text.replace(" ", "\U0001f525")


def leet(text: str) -> str:
    return _each(_LEET, text)


def leet_some(text: str) -> str:
    chance = random.Random(text)
    return "".join(_LEET.get(c, c) if chance.random() < 0.5 else c for c in text)


def leet_signs(text: str) -> str:
    return _each(dict(zip("aeios", "@3!0$", strict=True)), text)


def split_spaces(text: str) -> str:
    return "  ".join(" ".join(word) for word in text.split(" "))


def split_spaces_only(text: str) -> str:
    return " ".join(text.replace(" ", ""))


def split_dashes(text: str) -> str:
    return " ".join("-".join(word) for word in text.split(" "))


def split_dots(text: str) -> str:
    return " ".join(".".join(word) for word in text.split(" "))


def split_underscores(text: str) -> str:
    return " ".join("_".join(word) for word in text.split(" "))


def split_lines(text: str) -> str:
    return "\n\n".join("\n".join(word) for word in text.split(" "))


def signs_inside(text: str) -> str:
    return " ".join(word[:2] + "*" + word[2:] if len(word) > 5 else word for word in text.split(" "))


def letters_exchanged(text: str) -> str:
    return " ".join(word[:2] + word[3] + word[2] + word[4:] if len(word) > 5 else word for word in text.split(" "))


def rot13(text: str) -> str:
    return codecs.encode(text, "rot13")


def atbash(text: str) -> str:
    return text.translate(
        str.maketrans(ascii_lowercase + ascii_uppercase, ascii_lowercase[::-1] + ascii_uppercase[::-1])
    )


def reversed_text(text: str) -> str:
    return text[::-1]


def reversed_words(text: str) -> str:
    return " ".join(word[::-1] for word in text.split(" "))


def morse(text: str) -> str:
    return " / ".join(" ".join(_MORSE[c] for c in word if c in _MORSE) for word in text.lower().split())


def mixed_base64_fullwidth(text: str) -> str:
    return base64_standard(fullwidth(text))


def mixed_percent_homoglyphs(text: str) -> str:
    return quote(homoglyphs(text))


def mixed_rot13_base64(text: str) -> str:
    return base64_standard(rot13(text))


def mixed_zero_width_leet(text: str) -> str:
    return zero_width(leet(text))


def mixed_entities_percent(text: str) -> str:
    return entities_decimal(percent(text))


TRANSFORMS: dict[str, Callable[[str], str]] = {
    name: function
    for name, function in list(globals().items())
    if callable(function) and not name.startswith("_") and getattr(function, "__module__", "") == __name__
}
WORDS_ONLY = frozenset(
    (
        "small_capitals",
        "upside_down",
        "squared",
        "regional",
        "accents",
        "combining",
        "leet",
        "leet_some",
        "leet_signs",
        "split_spaces",
        "split_spaces_only",
        "split_dashes",
        "split_dots",
        "split_underscores",
        "split_lines",
        "signs_inside",
        "letters_exchanged",
        "morse",
        "emoji_between_words",
        "circled",
    )
)
"""Transforms that lose letter case or make sense for words alone; no secret or address survives them unharmed."""
