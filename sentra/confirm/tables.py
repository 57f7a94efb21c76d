"""Columns of tables in text: what stands at the head of the column that a value is in."""

REACH_BYTES = 4096
MOST_HEADER_BYTES = 40
MOST_LINE_BYTES = 1024
_DELIMITERS = (b"|", b"\t", b";", b",")
_RULER = frozenset(b"|-:+= \t\r")
_DIGITS = frozenset(b"0123456789")


Header = tuple[bytes, list[bytes]] | None
"""The delimiter of a table's lines and the cells of its first one; nothing for a line of no table."""


def column_header(buffer: bytes, start: int, low: int, known: dict[int, Header]) -> bytes | None:
    """The head of the column that holds the byte at ``start``, or nothing when that is no cell of a table.

    A table is a block of lines with the same number of one delimiter (``|``, tab, ``;``, ``,``) and at most 4096 bytes
    above the value's own; its first line is the header when its cell is short and holds no digit. ``known`` keeps the
    header of each line by where the line begins: a line has many values.
    """
    line_start = buffer.rfind(b"\n", max(low, start - REACH_BYTES), start) + 1
    if line_start == 0:
        return None
    if line_start not in known:
        known[line_start] = _header(buffer, line_start, max(low, line_start - REACH_BYTES))
    header = known[line_start]
    if header is None:
        return None
    delimiter, cells = header
    index = buffer.count(delimiter, line_start, start)
    cell = cells[index].strip() if index < len(cells) else b""
    return cell if cell and len(cell) <= MOST_HEADER_BYTES and _DIGITS.isdisjoint(cell) else None


def _header(buffer: bytes, line_start: int, low: int) -> Header:
    most = line_start + 2 * REACH_BYTES
    line_end = buffer.find(b"\n", line_start, most)
    line = buffer[line_start : line_end if line_end >= 0 else most]
    for delimiter in _DELIMITERS:
        count = line.count(delimiter)
        if count:
            first = _first_line(buffer, line_start, low, delimiter, count)
            return (delimiter, first.split(delimiter)) if first else None
    return None


def table_end(buffer: bytes, start: int, low: int, high: int) -> int:
    """Where the table ends whose first line holds the byte at ``start``; ``start`` itself when that is no table."""
    line_start = buffer.rfind(b"\n", max(low, start - MOST_LINE_BYTES), start) + 1 or low
    end = buffer.find(b"\n", start, min(high, start + MOST_LINE_BYTES))
    if end < 0:
        return start
    line = buffer[line_start:end]
    counts = next(((d, n) for d in _DELIMITERS if (n := line.count(d))), None)
    if counts is None:
        return start
    return _last_line(buffer, end, min(high, end + REACH_BYTES), *counts)


def _last_line(buffer: bytes, end: int, high: int, delimiter: bytes, count: int) -> int:
    for line in buffer[end + 1 : high].split(b"\n"):
        if line.count(delimiter) != count and (not line or not _RULER.issuperset(line)):
            break
        end += len(line) + 1
    return min(high, end)


def _first_line(buffer: bytes, line_start: int, low: int, delimiter: bytes, count: int) -> bytes | None:
    """The topmost line of the unbroken block above that has ``count`` delimiters; rulers may have other counts."""
    top = None
    for line in reversed(buffer[low : max(low, line_start - 1)].split(b"\n")):
        if line.count(delimiter) == count:
            top = line
        elif not line or not _RULER.issuperset(line):
            break
    return top
