"""Second looks at where a value comes from: from the user, or from data that the planned call follows."""

from sentra.confirm import Hit, confirm
from sentra.findings import Source

MOST_BYTES = 256 << 10  # of each side, so that many addresses in a long request cost bounded work

_ARGUMENTS: tuple[Source, ...] = ("input",)
_USER: tuple[Source, ...] = ("user_message", "history.user")


@confirm
def planned(hit: Hit) -> bool:
    """The planned call's arguments hold the value, in any letter case, and nothing that the user wrote does.

    That alone is the normal case: an address that one tool looks up is what the next one needs.
    """
    value = hit.buffer[hit.start : hit.end].lower()
    return _holds(hit, _ARGUMENTS, value) and not _holds(hit, _USER, value)


def _holds(hit: Hit, sources: tuple[Source, ...], value: bytes) -> bool:
    """Is ``value``, in small letters, in a text of ``sources``?"""
    if hit.texts is None:
        return False
    for first, last in hit.texts.ranges_of(sources):
        low, high = hit.texts.bounds(first, last)
        if value in hit.buffer[low : min(high, low + MOST_BYTES)].lower():
            return True
    return False
