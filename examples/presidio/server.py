"""presidio-analyzer behind HTTP with its pattern recognisers only: no model is downloaded, nothing is fetched.

``POST /analyze`` takes what Presidio's own service takes: ``text`` (a string, or a list of strings), ``language``, and if
wanted ``entities`` and ``score_threshold``; it answers with the list of results, or one list for each text.
``GET /health`` answers once the recognisers are loaded. Run it with ``granian --interface wsgi server:application``.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

LANGUAGES = os.environ.get("PRESIDIO_LANGUAGES", "en").split(",")
MAX_BODY_BYTES = int(os.environ.get("PRESIDIO_MAX_BODY_BYTES", "4194304"))

# The recogniser of mail addresses asks a web page for the list of domain endings unless it is told to use its own copy.
tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)


class Tokens(NlpEngine):
    """Words without a model, so that a recogniser's context words still raise its scores."""

    def __init__(self, languages: Iterable[str]):
        self._blank = {language: spacy.blank(language) for language in languages}

    def load(self) -> None:
        """Everything is there from the start."""

    def is_loaded(self) -> bool:
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """The words of ``text`` and where they stand; no entities."""
        tokens = self._blank[language](text)
        return NlpArtifacts(
            entities=[],
            tokens=tokens,
            tokens_indices=[token.idx for token in tokens],
            lemmas=[token.lower_ for token in tokens],
            nlp_engine=self,
            language=language,
        )

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **options: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word: str, language: str) -> bool:
        return bool(self._blank[language].vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:
        return bool(self._blank[language].vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return list(self._blank)


engine = AnalyzerEngine(nlp_engine=Tokens(LANGUAGES), supported_languages=LANGUAGES)
for language in LANGUAGES:
    engine.analyze("the first text compiles the patterns: jane@contoso.example, 212-555-0147", language)

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]


class Refused(Exception):
    """A request that cannot be analysed: HTTP status and why."""


def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """The WSGI application."""
    try:
        status, answer = "200 OK", route(environ)
    except Refused as refused:
        status, answer = refused.args[0], {"error": refused.args[1]}
    body = json.dumps(answer).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def route(environ: Environ) -> Any:
    match environ["REQUEST_METHOD"], environ["PATH_INFO"]:
        case "GET", "/health":
            return {"status": "ok"}
        case "POST", "/analyze":
            return analyze(read_json(environ))
    raise Refused("404 Not Found", "there is only POST /analyze and GET /health")


def read_json(environ: Environ) -> dict[str, Any]:
    size = int(environ.get("CONTENT_LENGTH") or 0)
    if not 0 < size <= MAX_BODY_BYTES:
        raise Refused("413 Content Too Large", f"the body must have 1 to {MAX_BODY_BYTES} bytes")
    try:
        document = json.loads(environ["wsgi.input"].read(size))
    except (ValueError, RecursionError):
        raise Refused("400 Bad Request", "the body is no JSON") from None
    if not isinstance(document, dict):
        raise Refused("400 Bad Request", "the body is no object")
    return document


def analyze(question: dict[str, Any]) -> Any:
    text, language = question.get("text"), question.get("language", LANGUAGES[0])
    texts = text if isinstance(text, list) else [text]
    if not all(isinstance(entry, str) for entry in texts):
        raise Refused("400 Bad Request", "text must be a string or a list of strings")
    if language not in LANGUAGES:
        raise Refused("400 Bad Request", f"language must be one of {', '.join(LANGUAGES)}")
    entities, threshold = question.get("entities"), question.get("score_threshold", 0)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float)):
        raise Refused("400 Bad Request", "score_threshold must be a number")
    known = set(engine.get_supported_entities(language))
    if entities is not None and not (isinstance(entities, list) and known.issuperset(map(str, entities))):
        raise Refused("400 Bad Request", "entities must be a list of known names")
    found = [
        engine.analyze(entry, language, entities=entities, score_threshold=threshold) if entry.strip() else []
        for entry in texts
    ]
    answers = [[shown(result) for result in results] for results in found]
    return answers if isinstance(text, list) else answers[0]


def shown(result: Any) -> dict[str, Any]:
    return {"entity_type": result.entity_type, "start": result.start, "end": result.end, "score": result.score}
