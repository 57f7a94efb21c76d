"""Signing keys over their life, on the real service with a real key server: outage, flood, and new keys."""

import itertools
import time
from collections.abc import Iterator

import pytest

from tests import jwks
from tests.conftest import QUERY, Server, eventually, request_with, running
from tests.hurried import FETCH, PERIOD, SPACING
from tests.jwks import ENTRA_ENV, JwksServer, claims_v1, claims_v2, token

GRACE = 3.0
_numbers = itertools.count()


class Life:
    """A service with one worker, and the server that publishes its keys."""

    def __init__(self, service: Server, keys: JwksServer):
        self.service, self.keys = service, keys

    def ask(self, signer: str = "key-1", **header: str) -> int:
        """The status of a request with a token that was never seen before."""
        claims = (claims_v1, claims_v2)[next(_numbers) % 2](uti=f"token-{next(_numbers)}")
        named = {"Authorization": f"Bearer {token(claims, signer, **header)}"}
        url = f"{self.service.url}/analyze-tool-execution{QUERY}"
        return self.service.client.post(url, headers=named, json=request_with()).status_code

    def fetches(self) -> int:
        return len(self.keys.paths)

    def fetch_twice(self) -> None:
        """Return when a fetch that began after now has ended: another one has begun since."""
        self.keys.wait_for(self.fetches() + 2)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with jwks.jwks_server() as keys:
        env = ENTRA_ENV | {
            "SENTRA_ENTRA_AUTHORITY": keys.authority,
            "SENTRA_WORKERS": "1",
            "SENTRA_PLUGINS": "email_bcc",
        }
        with running(tmp_path_factory.mktemp("life"), module="tests.hurried", **env) as service:
            yield Life(service, keys)


@pytest.fixture
def life(started: Life) -> Life:
    """The service with one key known, whatever was before."""
    started.keys.publish("key-1")
    started.fetch_twice()
    return started


def test_new_tokens_pass_while_the_key_server_is_down_for_longer_than_keys_are_kept(life: Life) -> None:
    for answer in (jwks.body(b"", 503), jwks.body(b"not keys")):
        life.keys.answer = answer
        began = life.fetches()
        while life.fetches() < began + 3:
            assert life.ask() == 200
    assert life.service.client.get("/readyz").status_code == 200


def test_nobody_waits_for_a_fetch_that_an_unknown_key_id_caused(life: Life) -> None:
    life.keys.answer = life.keys.hang
    before, slowest = life.fetches(), 0.0
    while life.fetches() < before + 2:
        asked = time.monotonic()
        assert life.ask(kid=f"unknown-{next(_numbers)}") == 401
        assert life.ask() == 200
        slowest = max(slowest, time.monotonic() - asked)
    life.keys.release.set()
    assert slowest < FETCH / 2


def test_a_flood_of_unknown_key_ids_fetches_once_a_minute_no_more_and_no_less_often(life: Life) -> None:
    began, before = time.monotonic(), life.fetches()
    while life.fetches() < before + 5:
        assert life.ask(kid=f"unknown-{next(_numbers)}") == 401
    assert 4 * SPACING < time.monotonic() - began < 4 * PERIOD


def test_without_unknown_key_ids_keys_are_fetched_once_a_period(life: Life) -> None:
    began = time.monotonic()
    life.keys.wait_for(life.fetches() + 1)
    assert time.monotonic() - began > PERIOD / 2


def test_a_key_published_a_period_before_its_first_use_fails_no_request(life: Life) -> None:
    life.keys.publish("key-1", "key-2")
    life.fetch_twice()
    assert [life.ask(signer) for signer in ("key-2", "key-1") * 5] == [200] * 10
    life.keys.publish("key-2")
    life.fetch_twice()
    assert (life.ask("key-2"), life.ask("key-1")) == (200, 401)


def test_a_key_first_seen_in_a_token_is_known_within_a_minute(life: Life) -> None:
    life.keys.publish("key-1", "key-2")
    assert life.ask("key-2") == 401
    eventually(lambda: life.ask("key-2") == 200, SPACING + GRACE)
    assert life.ask("key-1") == 200
