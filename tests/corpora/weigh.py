"""``python -m tests.corpora.weigh [--plain FILE]`` learns ``sentra/rules/exfil/orders.tsv`` (needs the extra ``weigh``).

It learns from the lines of ``wording/*.jsonl`` but ``held.jsonl``: each has a label, the source that it stands in and a
text, of which an attack may be only a part. So learning alternates: the passage of an attack that scores best is taken
for the attack, then the weights are fitted to those and to passages of honest texts, the hard ones above all.
``--plain`` names a file of the same form with more honest texts, as of manuals and code.
"""

import argparse
import base64
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from bench.texts import ordinary
from sentra import ruleset
from sentra.findings import Source
from sentra.inspection import inspect
from sentra.lexicon import KINDS, STEP, Kind
from sentra.lexicon.arrays import bounds_of
from sentra.lexicon.words import passages as passages_of
from sentra.lexicon.words import words as words_of
from sentra.plugins import BUILTIN, BY_NAME
from sentra.ruleset import RULES
from sentra.wire import decode_request
from tests.corpora import benign, exfil
from tests.corpora.evasion import TRANSFORMS

HERE = Path(__file__).parent / "wording"
TARGET = RULES / "exfil" / "orders.tsv"
HELD = "held.jsonl"
SOURCES: dict[str, Source] = {"user": "user_message"}
ROUNDS, STRENGTH, SEED = 4, 2.0, 7
DISGUISED = 8
HARD, EASY = -1.5, 40_000
SEEN, LEAST = 2, 0.15
RECORDS, NOISE, MEASURED = 1500, 400, 200
SHAPES = (
    '{"number": "INC0012345", "state": "open", "description": "", "work_notes": "", "assignment_group": "network"}',
    '{"sku": "FPR144821", "title": "", "rating": 4, "updatedAt": "2026-11-23T15:46:43.42+00:00", "comment": "", "tags": []}',
    '{"from": "ann@firm.com", "subject": "", "body": "", "isRead": true, "receivedDateTime": "2026-02-03T08:00:00Z"}',
    '{"start": "2026-03-04T09:00", "end": "2026-03-04T10:00", "description": "", "location": "Room 4", "attendees": []}',
    '{"amount": 120.5, "currency": "EUR", "recipient": "", "subject": "", "date": "2026-01-09", "recurring": false}',
    '{"name": "report.docx", "size": 48213, "owner": "", "content": "", "modified": "2026-05-06T07:08:09Z"}',
    '{"sender": "", "channel": "general", "text": "", "reactions": [], "timestamp": "1761320072"}',
    '{"status": 200, "headers": {"content-type": "text/html"}, "html": "", "title": ""}',
)
COLUMNS = [
    "order_id",
    "sku",
    "qty",
    "unit_price",
    "currency",
    "shipped_at",
    "warehouse",
    "customer",
    "status",
    "user_id",
    "account",
    "amount",
    "name",
    "email",
    "date",
    "region",
    "owner",
    "priority",
    "tool",
    "result",
    "system",
    "message_count",
    "tokens",
    "prompt_tokens",
    "agent",
    "model",
    "latency_ms",
    "role",
    "id",
    "key",
]
ENDINGS = (".com", ".net", ".org", ".io", ".co", ".de")
NAMES = (
    "value: ",
    "text: ",
    "",
    "body: ",
    "content: ",
    "description: ",
    "",
    "result: ",
    "message: ",
    "notes: ",
    "data: ",
    "",
)


class Line(NamedTuple):
    """A labelled text; ``label`` is 1 for an attack."""

    label: int
    source: Source
    family: str
    text: str

    @property
    def kind(self) -> Kind:
        """The weights that judge it."""
        return KINDS.get(self.source, "data")


def lines(names: Iterable[Path]) -> Iterator[Line]:
    """The lines of JSONL files. Their hosts end in ``.example``, which is no sign of anything: they get real endings."""
    for name in names:
        for text, ending in zip(name.read_text("utf-8").splitlines(), cycle(ENDINGS)):
            row = json.loads(text)
            source = SOURCES.get(row["source"], row["source"])
            yield Line(row["label"], source, row["family"], row["text"].replace(".example", ending))


def rule_cases() -> Iterator[Line]:
    """The cases beside the rules."""
    for rule in ruleset.shipped("exfil").rules:
        for case in rule.case:
            source = case.source or (rule.sources or BY_NAME[rule.plugin].sources)[0]
            yield Line(int(bool(case.match)), source, rule.id, case.joined)


def features(words: Sequence[str], kind: Kind) -> list[list[str]]:
    """The features that end with each word; those of users and descriptions count once more under that name."""
    found = []
    for place, word in enumerate(words):
        own = [word] if place else []
        if place > 0:
            own.append(f"{words[place - 1]} {word}")
        if place > 1:
            own.append(f"{words[place - 2]} * {word}")
        found.append(own if kind == "data" else [*own, *(f"{kind}: {feature}" for feature in own)])
    return found


class Passages(NamedTuple):
    """All passages of many lines: how often each has each feature, and the line that owns it."""

    counts: csr_matrix
    owners: np.ndarray


def tabulate(rows: Sequence[Line], columns: dict[str, int]) -> Passages:
    """The passages of ``rows`` over the features in ``columns``."""
    places, ends, owners = [], [0], []
    for owner, row in enumerate(rows):
        words = words_of(row.text.encode("utf-8", "replace"))
        known = [[columns[f] for f in own if f in columns] for own in features(words, row.kind)]
        stops = np.array([place for place, word in enumerate(words) if word == "."], np.int64)
        for low, high in passages_of(bounds_of(stops, len(words)).tolist()):
            for own in known[low:high]:
                places += own
            ends.append(len(places))
            owners.append(owner)
    shape = len(owners), len(columns)
    counts = csr_matrix((np.ones(len(places), np.float32), np.array(places, np.int32), np.array(ends)), shape)
    counts.sum_duplicates()
    counts.indices, counts.indptr = counts.indices.astype(np.int32), counts.indptr.astype(np.int32)
    return Passages(counts, np.array(owners))


def fit(passages: Passages, labels: np.ndarray, taken: np.ndarray, rounds: int) -> tuple[np.ndarray, float, np.ndarray]:
    """Weights, the bias, and the passages that were taken at last: the best of each attack and the hard honest ones."""
    attack = labels[passages.owners] == 1
    for _ in range(rounds):
        model = LogisticRegression(C=STRENGTH, max_iter=500).fit(passages.counts[taken], attack[taken])
        scores = model.decision_function(passages.counts)
        best: dict[int, int] = {}
        for index in np.flatnonzero(attack):
            owner = passages.owners[index]
            if owner not in best or scores[index] > scores[best[owner]]:
                best[owner] = index
        taken = ~attack & (taken | (scores > HARD))
        taken[list(best.values())] = True
    return model.coef_[0], float(model.intercept_[0]), taken


def telling(feature: str) -> bool:
    """Is every part of it a word? Single letters are what escapes and broken words leave, and some words are cut in a letter."""
    parts = feature.rpartition(": ")[2].split(" ")
    return "\ufffd" not in feature and all(len(part) > 1 or part in ("a", "i", ".", "*") for part in parts)


def learn(own: Sequence[Line], plain: Sequence[Line]) -> dict[str, list[float]]:
    """Weights by kind; the feature without a name is the bias."""
    seen: Counter[str] = Counter()
    for row in own:
        seen.update({f for some in features(words_of(row.text.encode("utf-8", "replace")), row.kind) for f in some})
    often = (feature for feature, count in seen.items() if count >= SEEN and telling(feature))
    columns = {feature: place for place, feature in enumerate(often)}
    rows = [*map(named, own, cycle(NAMES)), *plain]
    labels = np.array([row.label for row in rows])
    passages = tabulate(rows, columns)
    attack = labels[passages.owners] == 1
    honest = np.flatnonzero(~attack)
    taken = attack.copy()
    taken[random.Random(SEED).sample(honest.tolist(), min(len(honest), EASY))] = True
    weights, bias, taken = fit(passages, labels, taken, ROUNDS)
    kept = np.flatnonzero(np.abs(weights) >= LEAST)
    names = [list(columns)[place] for place in kept]
    weights, bias, _ = fit(Passages(passages.counts[:, kept], passages.owners), labels, taken, 2)
    return {"": [bias] * len(get_args(Kind)), **by_kind(dict(zip(names, weights.tolist(), strict=True)))}


def named(line: Line, name: str) -> Line:
    """``line`` as a value of that name: what tools give and take is read so."""
    return line if line.kind != "data" else line._replace(text=name + line.text)


def by_kind(weights: dict[str, float]) -> dict[str, list[float]]:
    """What each feature says in each kind of text."""
    others = [f"{kind}: " for kind in get_args(Kind) if kind != "data"]
    names = sorted({feature.rpartition(": ")[2] for feature in weights})
    table = {}
    for name in names:
        base = weights.get(name, 0.0)
        values = [base, *(base + weights.get(other + name, 0.0) for other in others)]
        if max(map(abs, values)) >= STEP:
            table[name] = values
    return table


def written(table: dict[str, list[float]]) -> str:
    """The lexicon's file."""
    return "".join("\t".join([name, *(f"{value:.2f}" for value in values)]) + "\n" for name, values in table.items())


def own_words() -> Iterator[Line]:
    """What a reply or a report says of a block: it may come back in a record, and orders nothing."""
    for entry in (entry for builtin in BUILTIN for entry in ruleset.shipped(builtin.name).entries):
        for text in sorted({entry.id, entry.title, entry.reason} - {""}):
            yield Line(0, "tool_output", entry.id, text)
            yield Line(0, "user_message", entry.id, text)


def records(rows: Sequence[Line]) -> Iterator[Line]:
    """Texts of tools inside the records that tools give, honest and not."""
    chance = random.Random(SEED)
    texts = {label: [r.text for r in rows if r.label == label and r.source == "tool_output"] for label in (0, 1)}
    for _ in range(RECORDS):
        label = int(chance.random() < 0.3)
        shape = json.loads(chance.choice(SHAPES))
        shape[chance.choice(list(shape))] = chance.choice(texts[label])
        shape["note"] = chance.choice(texts[0])
        shape["id"] = f"{chance.getrandbits(64):x}"
        made = json.dumps({chance.choice(("items", "value", "result")): [shape]}, ensure_ascii=chance.random() < 0.5)
        yield Line(label, "tool_output", "record", made)
        header = chance.sample(COLUMNS, 7)
        rows_ = [",".join(f"{chance.getrandbits(20):x}" for _ in header) for _ in range(3)]
        yield Line(0, "tool_output", "record", "\n".join([",".join(header), *rows_]))


def corpus() -> Iterator[Line]:
    """The texts of the honest requests, and the prose that is measured with."""
    for made in benign.plain(600):
        request = decode_request(json.dumps(made).encode())
        for segment in inspect(request).segments:
            yield Line(0, segment.source, "corpus", segment.text)
    for seed in range(MEASURED):
        yield Line(0, ("tool_output", "user_message")[seed % 2], "measured", ordinary(2_000, seed))


def open_attacks() -> Iterator[Line]:
    """The attacks whose wordings were written beside the rules."""
    for sample in exfil.attacks("exfil_open", 4):
        yield Line(1, sample.source, sample.family, sample.text)


def disguised(rows: Sequence[Line]) -> Iterator[Line]:
    """Honest texts in every disguise: what a disguise is made of says nothing of who wears it."""
    honest = [row for row in rows if not row.label and len(row.text) < 160]
    chosen = random.Random(SEED).choices(honest, k=DISGUISED * len(TRANSFORMS))
    for row, transform in zip(chosen, cycle(TRANSFORMS[name] for name in sorted(TRANSFORMS))):
        yield row._replace(family="disguised", text=transform(row.text))


def noise(rows: Sequence[Line]) -> Iterator[Line]:
    """Long lists of links, addresses and encoded pieces: whatever their words are, they order nothing."""
    chance = random.Random(SEED)
    known = sorted({word for row in rows for word in re.findall("[a-z]{3,9}", row.text)})
    kinds: tuple[Callable[[], str], ...] = (
        lambda: f"http://{chance.choice(known)}-{chance.choice(known)}{chance.choice(ENDINGS)}/{chance.choice(known)}",
        lambda: f"{chance.choice(known)}.{chance.choice(known)}{chance.choice(ENDINGS)}",
        lambda: f"{chance.choice(known)}@{chance.choice(known)}{chance.choice(ENDINGS)}",
        lambda: base64.b64encode(chance.choice(rows).text[:40].encode()).decode(),
        lambda: chance.choice(known),
    )
    for _ in range(NOISE):
        kind, other = chance.choices(kinds, k=2)
        text = chance.choice((" ", ", ", "\n")).join(
            (kind if n % 2 else other)() for n in range(chance.randrange(4, 40))
        )
        yield Line(0, chance.choice(("user_message", "tool_output", "input")), "noise", text)


def main() -> None:
    """Learn, and write the file."""
    parser = argparse.ArgumentParser(description=f"learn the weights of {TARGET.name}")
    parser.add_argument("--plain", type=Path, help="a JSONL file of more honest texts")
    options = parser.parse_args()
    own = list(lines(sorted(path for path in HERE.glob("*.jsonl") if path.name != HELD)))
    own += [*rule_cases(), *own_words(), *records(own), *disguised(own), *noise(own), *open_attacks()]
    plain = [*corpus(), *(lines([options.plain]) if options.plain else [])]
    table = learn(own, plain)
    Path(str(TARGET)).write_text(written(table), "utf-8")
    print(f"{TARGET.name}: {len(table)} features from {len(own)} lines")


if __name__ == "__main__":
    main()
