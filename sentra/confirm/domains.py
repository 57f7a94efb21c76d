"""Second looks at domain names: label boundaries."""

from sentra.confirm import Hit, confirm

_LABEL = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@confirm
def domain_boundary(hit: Hit) -> bool:
    """The value is a whole domain or the end of a longer one: neither part of a label nor followed by another label.

    ``a.evil.com``, ``user@evil.com`` and ``evil.com.`` hold for ``evil.com``; ``notevil.com`` and
    ``evil.com.example.net`` do not.
    """
    buffer = hit.buffer
    if hit.start > hit.low and _continues_label(buffer[hit.start - 1]):
        return False
    if hit.end >= hit.high:
        return True
    following = buffer[hit.end]
    if following == ord("."):
        return hit.end + 1 >= hit.high or not _continues_label(buffer[hit.end + 1])
    return not _continues_label(following)


def _continues_label(byte: int) -> bool:
    return byte in _LABEL or byte >= 0x80
