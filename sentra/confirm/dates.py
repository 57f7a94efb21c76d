"""Second looks at dates: is it a day of the calendar on which a living person can have been born?"""

import re

from sentra.confirm import Hit, confirm

_WORD = re.compile(r"[^\W\d_]{3,}")
_FIRST_YEAR, _LAST_YEAR = 1900, 2030
_MOST_DAYS, _MONTHS = 31, 12


@confirm
def birth_date(hit: Hit) -> bool:
    """Day, month and year in any usual order; two-digit years count, and so do months in words."""
    parts = [int(part) for part in re.findall(r"\d+", hit.value)]
    if _WORD.search(hit.value):
        return (
            len(parts) == 2
            and any(_FIRST_YEAR <= part <= _LAST_YEAR for part in parts)
            and any(0 < part <= _MOST_DAYS for part in parts)
        )
    if len(parts) != 3:
        return False
    first, middle, last = parts
    if _year(first) and first > _MOST_DAYS:
        return 0 < middle <= _MONTHS and 0 < last <= _MOST_DAYS
    fits = (0 < first <= _MOST_DAYS and 0 < middle <= _MONTHS) or (0 < first <= _MONTHS and 0 < middle <= _MOST_DAYS)
    return fits and _year(last)


def _year(number: int) -> bool:
    return 0 <= number < 100 or _FIRST_YEAR <= number <= _LAST_YEAR
