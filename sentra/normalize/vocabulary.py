"""Words that instructions to a model are made of: what hints at disguised text, and what glued letters are cut into.

This is a word list for undoing disguises, not a list of what is forbidden: a word here never blocks anything.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import product
from re import escape


def _list(text: str) -> tuple[str, ...]:
    return tuple(text.split())


COMMON = _list("""
a about above access account accounts act action add address admin after all also always an and another answer any
anything api are as ask assistant at attach attached authorization authentication available bank base be because been
before begin below between beyond body both browser but by bypass call can card cards change chat clear client code
codes command commands complete completely confidential config configuration connection contact contacts contain
contains content contents context conversation copy could credential credentials credit current customer customers
data database debug decode delete deny describe details developer dev direct directly directive directives disable
disclose discard disregard display do document documents does domain don done drop dump each earlier email emails
employee employees enable encoded end ensure enter entire env environment every everything execute exfiltrate export
external fetch file files filter filters find first following follow for force forget form format forward free from
full function get give given go grant guard guardrails guideline guidelines had has have he hello help her here hidden
hide him his history host how http https i id if ignore immediately important in include including info inform
information initial input inputs inside instead instruct instruction instructions internal into invoice invoices is it
its jailbreak just keep key keys know language last leak let like limit limits link list load local lock log login
logs look mail make mark markdown master may me memory message messages mode model money more must my name names need
never new no none nor not nothing notify now number numbers obey of off on once one only open operator or order
original other our out output outputs over override overrule owner page paragraph pass password passwords paste path
pay payment people permission permissions person personal phone plain please policies policy post pretend previous
print prior private privileged proceed process prompt prompts provide public put query question read real really
receive recipient record records refuse regardless reject release remove repeat replace reply report request requests
reset respond response restriction restrictions result results return reveal role root rule rules run safe safety same
save say says script search secret secrets secure security send sent server session set settings share she should show
shown skip so some start starting statement step steps stop store strict string such summary sure switch system
systems take task tasks tell text than that the their them then there these they thing things this those through time
to token tokens tool tools top transfer translate true unfiltered unlimited unlock unrestricted until up update upload
url use user username users using value values verbatim verify via view visit wallet want was we web webhook website
what when where which while who will with within without word words work would write you your yours yourself
""")

HINTS = _list("""
above administrator before bypass commands confidential configuration credentials customer database delete disclose
disregard email everything execute export following forget forward guidelines ignore immediately information
instructions internal jailbreak message override password please previous prior prompt reveal rules secret secrets
send should system their there token transfer upload without would your
""")

SHORT = ("the", "and", "you", "all", "not", "with", "this", "that", "from", "have", "for")

_PAIRS = _list("""
th he in er an re on en at nd st es or te of ed is it al ar to nt io le ou
""")
_TRIPLES = _list("""
the and ing ion tio ent for ere her ate ver all ith you our ous ign ore pre ins str sys tem pro mpt rev eal sec ret
pas wor key
""")
_FOURS = _list("""
tion that ther with ight here ould ough this have from ment able ever ious prev inst stru ruct igno gnor nore prom
ompt syst stem pass word secr cret send your tell reve veal data rule forg rget disr rega gard over ride outp mess
conf iden user admi acce cess oken mail list show give bypa ypas pypa tran rans file some what when will must only
also into next last firs orde ader dele lete code
""")
LEET = (
    {"a": "4", "e": "3", "i": "1", "l": "1", "o": "0", "s": "5", "t": "7"},
    {"a": "@", "e": "3", "i": "!", "o": "0", "s": "$"},
)
SEPARATORS = (" ", "-", ".", "_", "*", "|", "/", "~", ",", "\n", "  ", ", ", " - ", "+", ":", ";", "^", "#", "=", "\\")


def any_of(texts: Iterable[str]) -> str:
    """A pattern for any of ``texts``."""
    return "(?:" + "|".join(escape(text) for text in dict.fromkeys(texts)) + ")"


def bounded(words: Iterable[str]) -> str:
    """A pattern for any of ``words`` in any letter case, as a word of its own."""
    return rf"(?i)\b{any_of(words)}\b"


def pairs(code: str, separators: Iterable[str]) -> str:
    """A pattern for frequent pairs of letters written as numbers in ``format`` spec ``code``."""
    gaps = tuple(separators)
    return "(?i)" + any_of(
        format(ord(pair[0]), code) + gap + format(ord(pair[1]), code) for pair in _PAIRS for gap in gaps
    )


def split_triples() -> str:
    """A pattern for frequent triples of letters with the same separator between them."""
    return "(?i)" + any_of(gap.join(triple) for triple in _TRIPLES for gap in SEPARATORS)


def leet_parts() -> str:
    """A pattern for frequent parts of words with at least one letter written as a digit or sign."""
    return "(?i)" + any_of(form for part in _FOURS for form in leet_forms(part))


def leet_forms(part: str) -> Iterator[str]:
    """The usual ways to write ``part`` with at least one letter as a digit or sign."""
    for style in LEET:
        for letters in product(*(letter + style.get(letter, "") for letter in part)):
            form = "".join(letters)
            if form != part:
                yield form


@cache
def words() -> frozenset[str]:
    """The vocabulary, for cutting glued letters and for telling which letter a digit stands for."""
    return frozenset((*COMMON, *HINTS, *SHORT))
