"""Second looks at tables in text: does a column that is named for a secret hold one?"""

from collections.abc import Iterator

from sentra.confirm import Confirm, Hit, factory, parse
from sentra.confirm.names import mentions_secret, secret_name

MOST_HEADER_BYTES = 512
LEAST_HEADS = 2
MOST_WORDS, MOST_NAME, MOST_DIGITS = 4, 40, 2
_DIGITS = frozenset(b"0123456789")
_MARKS = frozenset("=:(){}[]<>\"'$@!?+")
_SENTENCE = frozenset(("a", "an", "and", "but", "can", "for", "may", "must", "or", "the", "to", "with", "you"))
_DELIMITERS = (b"|", b"\t", b";", b",")
_WRAPPING = b" \t\r\"'`*"


@factory
def column(argument: str) -> Confirm:
    """A cell under a header that names a secret passes the check ``argument``.

    The value is the table's rows; the header is the line above them, its cells divided as theirs.
    """
    check = parse(argument)
    return lambda hit: any(check(cell) for cell in _cells(hit))


def _cells(hit: Hit) -> Iterator[Hit]:
    """The cells in the columns of secrets."""
    header = _header(hit)
    delimiter = next((d for d in _DELIMITERS if d in header), None)
    if delimiter is None:
        return
    heads = header.split(delimiter)
    if len([head for head in heads if head.strip(_WRAPPING)]) < LEAST_HEADS or not all(map(_like_header, heads)):
        return
    wanted = [index for index, head in enumerate(heads) if _names_secret(head)]
    position = hit.start
    for row in hit.buffer[hit.start : hit.end].split(b"\n") if wanted else ():
        if row.count(delimiter) == len(heads) - 1:
            yield from _picked(hit, row, position, delimiter, wanted)
        position += len(row) + 1


def _header(hit: Hit) -> bytes:
    end = hit.start - 1
    start = hit.buffer.rfind(b"\n", max(hit.low, end - MOST_HEADER_BYTES), end) + 1
    return hit.buffer[max(start, hit.low, end - MOST_HEADER_BYTES) : end]


def _like_header(head: bytes) -> bool:
    """A few words without the end of a sentence and without a number."""
    short = len(head) <= MOST_NAME and len(head.split()) <= MOST_WORDS and not head.rstrip().endswith(b".")
    return short and sum(byte in _DIGITS for byte in head) <= MOST_DIGITS


def _names_secret(head: bytes) -> bool:
    words = head.strip(_WRAPPING).decode("utf-8", "replace").split()
    name = "_".join(words)
    short = len(words) <= MOST_WORDS and 0 < len(name) <= MOST_NAME and _MARKS.isdisjoint(name)
    if not _SENTENCE.isdisjoint(words):
        return False
    return short and mentions_secret(name) and secret_name(name)


def _picked(hit: Hit, row: bytes, position: int, delimiter: bytes, wanted: list[int]) -> Iterator[Hit]:
    for index, cell in enumerate(row.split(delimiter)):
        bare = cell.strip(_WRAPPING)
        if index in wanted and bare:
            start = position + cell.index(bare)
            yield Hit(hit.buffer, start, start + len(bare), start, hit.high)
        position += len(cell) + 1
