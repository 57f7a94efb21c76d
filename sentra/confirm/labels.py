"""Second looks at what a value is called: the rule's context words against the words that name something else.

A weak shape (bare digits with a one-digit checksum) means something only under its name. The name is a word before
the value, the key of a JSON or XML member, an argument's name (``customerSsn``, ``tax_id``) or a column's header.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import re2

from sentra.confirm import WINDOW_BYTES, Confirm, Hit, confirm, factory, spoken
from sentra.confirm.tables import column_header, table_end
from sentra.linear import Pattern

AFTER_BYTES = 60
NEAR_BYTES = 160
KEY_BYTES = 60

_FILLERS = (
    r"(?:[\s:#=.,\"'()\[\]{}<>|*`\\-]|\b(?:numbers?|numero|num|nummer|no|nr|ids?|codes?|ref|reference|value|is|was|are|ist|est|"
    r"es|for|of|the|my|and|und|et|y)\b|n\x{fa}mero|num\x{e9}ro|n\x{ba}|n\x{b0})*$"
)
_OTHER = re2.compile(
    (
        r"(?i)(\b(?:orders?|items?|tickets?|tracking|shipments?|parcels?|packages?|consignments?|awb|waybill|sku|upc|"
        r"ean|gtin|isbn|issn|barcode|serials?|parts?|batch|lots?|cases?|invoices?|receipts?|quotes?|quotation|contracts?|"
        r"po|purchase|products?|articles?|assets?|models?|builds?|versions?|revisions?|commits?|tickets?|incidents?|"
        r"requests?|correlation|transactions?|txn|trace|span|sessions?|guid|uuid|hash|checksum|md5|"
        r"sha|timestamps?|epoch|ticks|unix time|flights?|bookings?|reservations?|deliver(?:y|ies)|shipping|dispatch|stock|"
        r"inventory|vouchers?|coupons?|refs?|references?|jobs?|tasks?|runs?|jira|issues?|bugs?|warehouse|bin|"
        r"employees?|members?|accounts?|policy|claims?|"
        r"bestell\w*|auftrags?\w*|rechnungs?\w*|artikel\w*|sendungs?\w*|lieferungs?\w*|lieferschein\w*|vorgangs?\w*|"
        r"kundennummer|vertrags?\w*|seriennummer|commande|facture|colis|suivi|r\x{e9}f\x{e9}rence|pedido|factura|env\x{ed}o|"
        r"ordine|fattura|spedizione|articolo|encomenda|fatura|zam\x{f3}wieni\w*|faktur\w*|bestelling|factuur|zending|"
        r"ordre|tilaus|lasku|sipari\x{15f})\b|\x{8ba2}\x{5355}|\x{6ce8}\x{6587}|\x{8fd0}\x{5355}|\x{53d1}\x{7968})"
        + _FILLERS
    ).encode()
)
_KEY = re2.compile(
    rb"""(?:[\n,;{(|">\\]|\.\s)?([^\n,;{}(|"<>\\=:]{1,60})(?:["'\\]{0,4}\s?[:=]\s?|>\s?)["'\\\[({*`]{0,6}$"""
)
_GENERIC = re2.compile(
    rb"(?i)^\W*(?:the )?(?:numbers?|no|nr|num|values?|ids?|content|text|body|messages?|query|input|prompt|note|notes|comment|"
    rb"comments|details|description|data|answer|reply|question|user|here|here it is|this|it|follows|below)\W*$"
)


@confirm
def unlabelled(hit: Hit) -> bool:
    """No name of something else (an order, a build, a timestamp) stands right before the value or over its column."""
    header = column_header(hit.buffer, hit.start, hit.low, hit.found)
    if header is None:
        return _unlabelled(hit.context, _window(hit, WINDOW_BYTES))
    return _once(hit, _unlabelled, header)


def _unlabelled(context: Pattern | None, text: bytes) -> bool:
    before = spoken(text)
    other = _OTHER.search(before)
    return other is None or _named_later(context, before, other.start(1))


def _once(hit: Hit, asked: Callable[[Any, bytes], bool], header: bytes) -> bool:
    """What is ``asked`` of a column's header, which is the same for all values below it."""
    key = (asked, hit.context, header)
    if key not in hit.found:
        hit.found[key] = asked(hit.context, header)
    return bool(hit.found[key])


@factory
def label(argument: str) -> Confirm:
    """One of the rule's ``context`` words names the value, within ``argument`` bytes (80) before or just after it."""
    reach = int(argument or WINDOW_BYTES)
    return lambda hit: labelled(hit, reach)


def labelled(hit: Hit, reach: int = WINDOW_BYTES) -> bool:
    """Is one of the rule's context words what the value is called?"""
    if hit.context is None:
        return False
    header = column_header(hit.buffer, hit.start, hit.low, hit.found)
    if header is not None:
        return _once(hit, _found, header)
    window = _window(hit, reach)
    key = _KEY.search(window)
    if key is not None and _GENERIC.search(spoken(key[1])) is None:
        return _found(hit.context, key[1])
    if not (_found(hit.context, window) or _named_after(hit)):
        return False
    return unlabelled(hit)


def finder(words: Iterable[str]) -> str:
    """A pattern for any of ``words`` in any letter case, also inside a name such as ``customerSsn`` or ``tax_id``."""
    return "(?i)(?:" + "|".join(r"[\s_\-/.]*".join(map(re2.escape, word.split())) for word in words) + ")"


def places(buffer: bytes, names: Pattern, low: int, high: int, pay: Callable[[int], None]) -> Iterator[tuple[int, int]]:
    """The stretches of ``buffer`` from ``low`` to ``high`` in which a value can be named by what ``names`` finds.

    ``pay`` is called for every name with the bytes that were looked at for it.
    """
    begin = end = table = low
    for match in names.finditer(buffer, low, high):
        start, stop = match.span()
        if stop > table:
            table = table_end(buffer, stop, low, high)
        pay(max(0, table - stop))
        if start - NEAR_BYTES > end:
            if end > begin:
                yield begin, end
            begin = start - NEAR_BYTES
        end = min(high, max(end, table, stop + NEAR_BYTES))
    if end > begin:
        yield begin, end


def _window(hit: Hit, reach: int) -> bytes:
    """What stands before the value, without the tags of HTML that only set it."""
    window = hit.buffer[max(hit.low, hit.start - reach) : hit.start]
    return _MARKUP.sub(b" ", window) if b"<" in window else window


_MARKUP = re2.compile(
    rb"(?i)</?(?:td|th|tr|b|i|u|em|strong|span|p|li|dt|dd|div|font|label|small|code|a)(?:\s[^<>]*)?>|<br\s?/?>"
)


def _found(context: Pattern, text: bytes) -> bool:
    """Is a context word in ``text``, also as part of a name, or with capitals inside (``MyKad``)?"""
    return context.search(text) is not None or context.search(spoken(text)) is not None


def _named_later(context: Pattern | None, text: bytes, start: int) -> bool:
    """A context word ends behind ``start``: the other name is part of it, as in ``account number``, or precedes it."""
    return context is not None and any(match.end() > start for match in context.finditer(text))


def _named_after(hit: Hit) -> bool:
    """A context word follows, with nothing between that begins another statement."""
    assert hit.context is not None
    after = spoken(hit.buffer[hit.end : min(hit.high, hit.end + AFTER_BYTES)])
    match = hit.context.search(after)
    return match is not None and not _BREAK.search(after[: match.start()])


_BREAK = re2.compile(rb"[0-9,;:\n|{}\"]|\.\s")
