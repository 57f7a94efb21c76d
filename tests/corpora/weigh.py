"""``python -m tests.corpora.weigh [--plain FILE]`` learns ``sentra/rules/exfil/orders.tsv`` (needs the extra ``weigh``).

It learns from the lines of ``wording/*.jsonl`` but ``held.jsonl``: each has a label, the source that it stands in and a
text, of which an attack may be only a part. So learning alternates: the passage of an attack that scores best is taken
for the attack, then the weights are fitted to those and to passages of honest texts, the hard ones above all.
``--plain`` names a file of the same form with more honest texts, as of manuals and code.
"""

import argparse
import json
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from sentra import lexicon
from sentra.findings import Source
from sentra.inspection import inspect
from sentra.lexicon import KINDS, STEP, Kind
from sentra.ruleset import RULES
from sentra.wire import decode_request
from tests.corpora import benign

HERE = Path(__file__).parent / "wording"
TARGET = RULES / "exfil" / "orders.tsv"
HELD = "held.jsonl"
SOURCES: dict[str, Source] = {"user": "user_message"}
ROUNDS, STRENGTH, SEED = 4, 1.0, 7
HARD, EASY = -1.5, 40_000
SEEN, LEAST = 2, 0.2
NAMES = ("value: ", "text: ", "", "body: ", "content: ", "description: ", "", "result: ", "message: ", "notes: ", "data: ", "")


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
    """The lines of JSONL files."""
    for name in names:
        for line in name.read_text("utf-8").splitlines():
            row = json.loads(line)
            yield Line(row["label"], SOURCES.get(row["source"], row["source"]), row["family"], row["text"])


def features(words: Sequence[str], kind: Kind) -> list[list[str]]:
    """The features that end with each word; those of users and descriptions count once more under that name."""
    found = []
    for place, word in enumerate(words):
        own = [word]
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
        words = lexicon.words(row.text.encode("utf-8", "replace"))
        known = [[columns[f] for f in own if f in columns] for own in features(words, row.kind)]
        stops = np.array([place for place, word in enumerate(words) if word == "."], np.int64)
        for low, high in lexicon.passages(lexicon.bounds_of(stops, len(words)).tolist()):
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


def learn(own: Sequence[Line], plain: Sequence[Line]) -> dict[str, list[float]]:
    """Weights by kind; the feature without a name is the bias."""
    seen: Counter[str] = Counter()
    for row in own:
        seen.update(
            {f for some in features(lexicon.words(row.text.encode("utf-8", "replace")), row.kind) for f in some}
        )
    columns = {feature: place for place, feature in enumerate(f for f, count in seen.items() if count >= SEEN)}
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


def corpus() -> Iterator[Line]:
    """The texts of the honest requests."""
    for made in benign.plain(600):
        request = decode_request(json.dumps(made).encode())
        for segment in inspect(request).segments:
            yield Line(0, segment.source, "corpus", segment.text)


def main() -> None:
    """Learn, and write the file."""
    parser = argparse.ArgumentParser(description=f"learn the weights of {TARGET.name}")
    parser.add_argument("--plain", type=Path, help="a JSONL file of more honest texts")
    options = parser.parse_args()
    own = list(lines(sorted(path for path in HERE.glob("*.jsonl") if path.name != HELD)))
    plain = [*corpus(), *(lines([options.plain]) if options.plain else [])]
    table = learn(own, plain)
    Path(str(TARGET)).write_text(written(table), "utf-8")
    print(f"{TARGET.name}: {len(table)} features from {len(own)} lines")


if __name__ == "__main__":
    main()
