"""Second looks at wording: is a phrase said to the model, or does the text talk about it?"""

import re2

from sentra.confirm import Confirm, Hit, confirm, factory

NEAR_BYTES = 160

_GAP = r"[\s\pP\pS]*"
_QUOTE = re2.compile("[\"'`*\u2018\u2019\u201c\u201d\u201e\u00ab\u300c\u300e]\\W{0,2}$")
_ABOUT = re2.compile(
    r"(?i)prompt.injection|injection|jailbreak|attack|adversar|malicious|red.?team|phish|vulnerab|phrases?\b|"
    r"\bwording|such as|for example|\be\.?g\b|\bexamples?\b|looks? like|\bcalled\b|\bterms?\b|detect|\bmeans?\b|"
    r"\bsays? something|untrusted|awareness"
)
_REPORTED = re2.compile(
    r"(?i)\b(?:tell|ask|instruct|trick|convinc|forc|caus|mak|persuad|command|get|manipulat|direct|coax)"
    r"(?:e|s|es|ing|ting|ed)?\s(?:(?:the|a|an|your|our|their|its|any|some)\s)?(?:[\w-]+\s){0,2}"
    r"(?:models?|llms?|assistants?|agents?|ais?|chatbots?|bots?|systems?|it|them|copilots?)\s(?:into\s|to\s)?(?:\w+\s){0,2}$"
)


@confirm
def addressed(hit: Hit) -> bool:
    """The phrase is not quoted or reported by a text about attacks.

    Quoting alone does not clear it, nor does a word about attacks: both stand together in articles and tests.
    """
    before = hit.before(NEAR_BYTES)
    if not (_QUOTE.search(before) or _REPORTED.search(before)):
        return True
    return not (_ABOUT.search(before) or _ABOUT.search(hit.after(NEAR_BYTES)))


@confirm
def unlisted(hit: Hit) -> bool:
    """The value is not a piece of code in a manual: set in back-ticks or quotes on its own."""
    before, after = hit.before(1), hit.after(1)
    return not (before == after and before in ("`", '"', "'"))


@confirm
def smuggled(hit: Hit) -> bool:
    """The tag characters do not spell the flag of a region: black flag, ``gbeng`` or so, cancel tag.

    Source: Unicode Technical Standard 51, annex C.1.
    """
    return not _FLAG.search(hit.before(40) + hit.value)


_FLAG = re2.compile(r"\x{1F3F4}[\x{E0061}-\x{E007A}]{2}[\x{E0030}-\x{E0039}\x{E0061}-\x{E007A}]{1,3}\x{E007F}$")
_BUSINESS = re2.compile(
    r"(?i)\b(?:returns?|refunds?|cancel|shipping|delivery|days|baggage|luggage|booking|plan|tariff|warranty|"
    r"download|streaming|minutes|gb|subscription|visa|parking|travel)\b"
)


@confirm
def personal(hit: Hit) -> bool:
    """The phrase is not about the terms of a purchase, a trip or a contract."""
    return not (_BUSINESS.search(hit.value) or _BUSINESS.search(hit.after(40)))


_TOPIC = re2.compile(
    r"(?i)^[\s,]{0,3}(?:about|regarding|concerning|as to|with regard to|relating to|in regards? to)\s(?P<topic>[^.!?;\n]{3,60})"
)
_MODEL_TOPIC = re2.compile(
    r"(?i)\b(?:you|your|yours|ai|assistants?|models?|users?|safety|secur|privacy|private|confiden|secre|sensitiv|system|"
    r"prompts?|harm|restrict|polic|ethic|personal data|data|reveal|disclos|leak|shar|answer|respon|output|format|"
    r"summar|translat|injection|untrusted|not |never)"
)


@confirm
def on_business(hit: Hit) -> bool:
    """What was dropped is about a matter of business ("the instructions about parking"), not about a model's conduct."""
    topic = _TOPIC.search(hit.after())
    return bool(topic) and not _MODEL_TOPIC.search(topic["topic"])


@factory
def preceded(pattern: str) -> Confirm:
    """``pattern`` (RE2, any letter case) matches right before the value, white space and punctuation aside."""
    compiled = re2.compile(rf"(?i)(?:{pattern}){_GAP}$")
    return lambda hit: bool(compiled.search(hit.before()))


@factory
def followed(pattern: str) -> Confirm:
    """``pattern`` (RE2, any letter case) matches right after the value, white space and punctuation aside."""
    compiled = re2.compile(rf"(?i)^{_GAP}(?:{pattern})")
    return lambda hit: bool(compiled.search(hit.after()))


@factory
def holds(pattern: str) -> Confirm:
    """``pattern`` (RE2, any letter case) matches somewhere in the value."""
    compiled = re2.compile(f"(?i){pattern}")
    return lambda hit: bool(compiled.search(hit.value))
