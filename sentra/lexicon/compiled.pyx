# cython: language_level=3, boundscheck=False, wraparound=False
"""The sums of the lexicon in machine code: words, the weights of their features, and the passages that are worth enough.

It finds the same as ``arrays``, and the numbers here are those of ``words``.
"""

from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint64_t

cdef enum:
    WORDS = 36
    SENTENCES = 3
    CUT = WORDS - 2
    END = 0
    POINT = 2
    OTHER = 3  # the first byte of a character that is no Latin letter
    BLANK = 32
    PERIOD = 46
    SIGN = 0xC2
    LAST_LATIN = 0xC5
    SHIFT = 36
    BITS = 20
    CHECK = 0xFF

cdef uint64_t SPREAD = 0x9E3779B97F4A7C15
cdef uint64_t BEFORE = 0xC2B2AE3D27D4EB4F
cdef uint64_t AFTER = 0x165667B19E3779F9
cdef uint64_t SKIPPED = 0x27D4EB2F165667C5

cdef struct Word:
    int32_t start
    int32_t end
    int32_t worth  # of all words before
    int32_t texts  # that ended before
    bint stops

cdef struct State:
    Word *words
    int32_t count
    int32_t worth
    int32_t texts
    uint64_t before
    uint64_t skipped
    bint text_ended
    const uint16_t *table
    Py_ssize_t user
    Py_ssize_t description


cdef inline int32_t weight(const uint16_t *row, uint64_t number) noexcept nogil:
    cdef uint64_t place = (number * SPREAD) >> SHIFT
    cdef uint16_t entry = row[place >> 8]
    return <signed char>(entry & 0xFF) if entry >> 8 == place & CHECK else 0


cdef void add(State *state, uint64_t key, int32_t start, int32_t end, bint ends_text) noexcept nogil:
    cdef Word *word = &state.words[state.count]
    cdef const uint16_t *row = state.table
    word.start, word.end, word.worth, word.texts, word.stops = start, end, state.worth, state.texts, key == PERIOD
    if start <= state.user:
        row += 1 << BITS
    elif start >= state.description:
        row += 2 << BITS
    state.worth += weight(row, key) + weight(row, state.before ^ key * AFTER if state.count else 0)
    if not state.text_ended:
        state.worth += weight(row, state.skipped ^ key * SKIPPED if state.count else 0)
    state.skipped, state.before = state.before, key * BEFORE
    state.text_ended = ends_text
    state.texts += ends_text
    state.count += 1


cdef void read(State *state, const uint8_t *text, Py_ssize_t size, const uint8_t *codes) noexcept nogil:
    """Every text begins and ends like a sentence: as if there were a NUL before and behind."""
    cdef Py_ssize_t place = 0, start = -1
    cdef uint8_t code, last
    cdef uint64_t key
    cdef int bits
    cdef bint nul = True
    while True:
        code = last = END
        while place < size:
            code = codes[text[place]]
            if code > POINT:
                break
            nul |= code == END
            last = code
            place += 1
        if place == size:
            add(state, PERIOD, <int32_t>start, <int32_t>size + 1, True)
            return
        if nul or last != POINT or code == OTHER or text[place] == BLANK:
            add(state, PERIOD, <int32_t>start, <int32_t>place, nul)
        while place < size:
            code = codes[text[place]]
            if code > BLANK:
                start, key, bits = place, 0, 0
                while code > BLANK:
                    if bits < 64:
                        key |= <uint64_t>code << bits
                        bits += 8
                    place += 1
                    if place == size:
                        break
                    code = codes[text[place]]
                add(state, key, <int32_t>start, <int32_t>place, False)
            elif code == BLANK:
                place += 1
            elif code == OTHER:
                place = min(size, place + 2 + (text[place] >= 0xE0) + (text[place] >= 0xF0))
            else:
                break
        start, nul = place, False


cdef int32_t bound(State *state, int32_t *bounds) noexcept nogil:
    """Where sentences begin, and the end; long ones are cut."""
    cdef int32_t count = 0, low = -1, high, number
    for number in range(state.count + 1):
        if number < state.count and not state.words[number].stops:
            continue
        high = number + 1 if number < state.count else number
        if low >= 0 and high - low > WORDS:
            while low < high:
                bounds[count] = low
                count += 1
                low += CUT
        bounds[count] = low = high
        count += 1
    return count


def weigh(
    const uint8_t[::1] text, const uint8_t[::1] codes, const uint16_t[::1] table, Py_ssize_t user,
    Py_ssize_t description, int32_t enough,
):
    """Worth, start and end of each passage that is worth ``enough``; see ``sentra.lexicon``."""
    cdef Py_ssize_t size = text.shape[0]
    cdef uint8_t[256] kinds
    cdef int32_t count, length, index, low, high, worth, last, end
    cdef State state
    if codes.shape[0] != 256 or table.shape[0] != 3 << BITS or size > 1 << 30:
        raise ValueError("expected codes of 256 bytes, a table of three rows and a text of at most 1 GiB")
    found = []
    if not size:
        return found
    state.words = <Word *>PyMem_RawMalloc((size + 3) * sizeof(Word))
    cdef int32_t *bounds = <int32_t *>PyMem_RawMalloc((2 * size + 8) * sizeof(int32_t))
    try:
        if not state.words or not bounds:
            raise MemoryError
        for index in range(256):
            kinds[index] = OTHER if index == SIGN or index > LAST_LATIN else codes[index]
        state.count = state.worth = state.texts = 0
        state.before = state.skipped = 0
        state.text_ended = False
        state.table, state.user, state.description = &table[0], user, description
        with nogil:
            read(&state, &text[0], size, kinds)
            state.words[state.count].worth = state.worth
            count = bound(&state, bounds)
        if state.count < 2:
            return found
        for length in range(1, min(SENTENCES, count - 1) + 1):
            for index in range(count - length):
                low, high = bounds[index], bounds[index + length]
                worth = state.words[high].worth - state.words[low].worth
                if worth < enough or not 1 < high - low <= WORDS:
                    continue
                last = high - 1
                if state.words[low].texts != state.words[last].texts:
                    continue
                end = state.words[last - 1 if state.words[last].stops else last].end
                found.append((worth, max(0, state.words[low].start), end))
        return found
    finally:
        PyMem_RawFree(state.words)
        PyMem_RawFree(bounds)
