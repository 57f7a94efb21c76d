"""What a text is made of: words or random characters. Tables of our own, for Latin letters of any language."""

import re

from sentra.confirm import Hit, confirm


def word_set(text: str) -> frozenset[str]:
    """The words of ``text``, which white space separates."""
    return frozenset(text.split())


_BIGRAMS = word_set(
    """
    zu ug uf eu ab ac ad ag ai al am an ap ar as at au ay ba be bi bl bo br bu ca ce ch ci ck cl co cr ct cu da de di do du ea ec ed
    ee ei el em en er es et ev ex fa fe fi fo fr fu ga ge gh gi go gr gu ha he hi ho ht ia ic id ie if ig il im in io ir
    is it iv ke ki la le li ll lo ls lt lu ly ma me mi mm mo mp mu na nc nd ne ng ni nn no ns nt nu oa ob oc od of og ok
    ol om on oo op or os ot ou ov ow pa pe ph pi pl po pp pr pt pu qu ra rd re rg ri rk rl rm rn ro rr rs rt ru ry sa sc
    se sh si so sp ss st su sw ta te th ti tl to tr ts tt tu ty ub uc ud ue ui ul um un up ur us ut va ve vi vo wa we wh
    wi wo wn wr ye yo za ze ey ak af ks gn ft nk my by sk sl sm sn xp xt
    """
)
_RUN = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_LEAST_WORD = 4
_LEAST_SHARE = 0.7


def wordlike(text: str) -> bool:
    """``text``, letters in one case, reads like a word: most pairs of neighbours are common ones.

    >>> wordlike("required"), wordlike("xkqzvbn")
    (True, False)
    """
    lowered = text.lower()
    pairs = [lowered[i : i + 2] for i in range(len(lowered) - 1)]
    if not pairs or not lowered.isascii():
        return bool(lowered)
    return sum(pair in _BIGRAMS for pair in pairs) / len(pairs) >= _LEAST_SHARE


def made_of_words(text: str) -> bool:
    """Most letters of ``text`` stand in words of at least four, however they are joined.

    >>> made_of_words("rise_to_the_Sky-2024"), made_of_words("q8Zr4Tk1Wn7Yb3Vx")
    (True, False)
    """
    runs = [run for run in _RUN.findall(text) if run.isascii()]
    letters = sum(map(len, runs))
    foreign = sum(c.isalpha() and not c.isascii() for c in text)
    if letters + foreign == 0:
        return False
    known = sum(len(run) for run in runs if len(run) >= _LEAST_WORD and wordlike(run))
    short = sum(len(run) for run in runs if len(run) < _LEAST_WORD and run.lower() in _SHORT)
    return known + foreign > 0 and (known + short + foreign) / (letters + foreign) >= 0.6


_SHORT = word_set(
    """
    a an and are at be by do for from go has id in is it my new no not of off old on one or out per pw set so the to top
    two up us use via was we you key api app dev qa test env der die das und le la les et de el los un una
    """
)


def parts(name: str) -> list[str]:
    """The words of an identifier in lower case.

    >>> parts("dbPassword_hash-v2")
    ['db', 'password', 'hash', 'v', '2']
    """
    return [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+", name)]


def bare(text: str) -> str:
    """``text`` in lower case without anything but letters."""
    return "".join(filter(str.isalpha, text.lower()))


_FUNCTION_WORDS = word_set(
    """
    the and that this with have from they you your was were are not but for all can will would should could has had she
    his her their there what when which who how than then them been because before after into its our out such please
    dass und der die das ein eine nicht mit les des une que pour pas est los las una con por para del
    """
)


@confirm
def made_of_words_(hit: Hit) -> bool:
    """Most letters of the value stand in words."""
    return made_of_words(hit.value)


@confirm
def seed_words(hit: Hit) -> bool:
    """The value begins with twelve words of a seed phrase: three to eight letters each, few function words or repeats.

    Of the 2048 words some, as ``that`` and ``there``, are function words, too (BIP 39); sentences hold more of them.
    """
    words = hit.value.lower().replace(",", " ").split()[:12]
    short = all(3 <= len(word) <= 8 for word in words)
    return short and len(set(words)) >= 11 and len(_FUNCTION_WORDS.intersection(words)) <= 1
