"""Second looks at assignments: whose name is a secret's, which value is written out and random, what is made of words."""

import random

import pytest

from sentra.confirm import Hit, parse
from sentra.confirm.names import secret_name
from sentra.confirm.vendors import is_vendor_token
from sentra.confirm.words import made_of_words, parts, wordlike
from tests.corpora.secrets import fill

RNG = random.Random(12)


def hit(value: str, before: str = "", after: str = "") -> Hit:
    left, middle, right = before.encode(), value.encode(), after.encode()
    buffer = left + middle + right
    return Hit(buffer, len(left), len(left) + len(middle), 0, len(buffer))


def holds(spec: str, value: str, before: str = "", after: str = "") -> bool:
    return parse(spec)(hit(value, before, after))


@pytest.mark.parametrize("word", ["required", "authentication", "password", "Zugang", "cliente", "maintenant"])
def test_a_word_reads_like_one(word: str) -> None:
    assert wordlike(word)


@pytest.mark.parametrize("text", ["rise_to_the_sky", "prod-database-key", "getUserAccessToken", "Team-Ops/Database"])
def test_joined_words_are_words(text: str) -> None:
    assert made_of_words(text)


def test_random_text_is_hardly_ever_made_of_words() -> None:
    rng = random.Random(9)
    assert sum(made_of_words(fill("{b62:32}", rng)) for _ in range(2_000)) <= 4
    assert not made_of_words("123456")


def test_an_identifier_falls_into_its_words() -> None:
    assert parts("dbPassword_hash-v2.APIKey") == ["db", "password", "hash", "v", "2", "api", "key"]


@pytest.mark.parametrize(
    "name", ["password", "DB_PASSWORD", "clientSecret", "x-api-key", "userpwd", "refresh_token", "Kennwort", "hasło"]
)
def test_a_secret_s_name(name: str) -> None:
    assert secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "monkey",
        "secretary",
        "password_hash",
        "token_count",
        "nextPageToken",
        "csrfToken",
        "skiptoken",
        "publicKey",
        "secret_name",
        "passenger",
        "",
    ],
)
def test_another_name(name: str) -> None:
    assert not secret_name(name)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("DB_PASSWORD=", True),
        ("next page token: ", False),
        ("public key: ", False),
        ("arn:aws:secretsmanager:eu-west-1:1:secret:", False),
        ("パスワード：", True),
        ("value ", False),
    ],
)
def test_the_name_before_a_value(before: str, expected: bool) -> None:
    assert holds("assigned_name", "x", before) is expected


PASSWORDS = ["Kq7wZ2rT9x!", "Sommer#2031", "t5Gk9pWq2z", "vaR9-tqLm2", "xkqzvbnwrt"]
NO_PASSWORDS = [
    "required",
    "minimum",
    "${DB_PASSWORD}",
    "{{ password }}",
    "<password>",
    "getPassword(user2)",
    "os.environ['X1']",
    "process.env.DB_PASS",
    "$DB_PASSWORD1",
    "%PASSWORD%",
    "config.db.password",
    "2025-03-04T10:22:31Z",
    "ann@acme.test",
    "https://acme.test/Login2",
    "********",
    "changeme-Now1",
    "password1",
    "list[Type",
    "guide-2024.pdf",
    "vault:kv/data/db1",
    "short1!",
]


@pytest.mark.parametrize("value", PASSWORDS)
def test_a_password_behind_its_name(value: str) -> None:
    assert holds("password_value", value, "password: ")


@pytest.mark.parametrize("value", NO_PASSWORDS)
def test_no_password_behind_its_name(value: str) -> None:
    assert not holds("password_value", value, "password: ")


def test_a_value_that_repeats_its_name_is_no_secret() -> None:
    assert not holds("password_value", "new_Password.2", "new_password = ")
    assert not holds("secret_value", "apiKey2Value8x", '"apiKey": "')


@pytest.mark.parametrize(
    "value",
    ["rise_to_the_sky_2024", "authentication-service", "abc123xyz456def", "512", "deadbeef", "/var/run/secrets/token2"],
)
def test_no_machine_made_secret(value: str) -> None:
    assert not holds("secret_value", value, "token=")


@pytest.mark.parametrize("shape", ["{b62:32}", "{hex:40}", "{b64:44}", "{uuid}", "{url:48}"])
def test_machine_made_secrets(shape: str) -> None:
    rng = random.Random(4)
    assert sum(holds("secret_value", fill(shape, rng), "token=") for _ in range(200)) >= 198


@pytest.mark.parametrize(
    ("value", "expected"), [("Kq7wZ2", True), ("option", False), ("3306", False), ("--force", False), ("hunter2", True)]
)
def test_an_option_s_operand(value: str, expected: bool) -> None:
    assert holds("option_password", value, "--password ") is expected


@pytest.mark.parametrize(("value", "expected"), [("hunter", True), ("password", False), ("{0}", False), ("***", False)])
def test_an_explicit_place_takes_any_literal(value: str, expected: bool) -> None:
    assert holds("explicit_password", value, "://user:", "@host") is expected


@pytest.mark.parametrize(
    ("value", "expected"), [("Tr0ub4dor#3x", True), ("Policy-2024", False), ("KB0012345", False), ("forgotten!", False)]
)
def test_a_password_in_a_sentence(value: str, expected: bool) -> None:
    assert holds("prose_password", value, "the password is ") is expected


def test_a_vendor_s_token_is_left_to_its_own_rule() -> None:
    token = fill("ghp_{b62:36}", RNG)
    assert is_vendor_token(token)
    assert not holds("secret_value", token, "token=")
    assert not is_vendor_token("ghp_short")


@pytest.mark.parametrize(
    ("value", "after"),
    [
        ("XDgV2", "&MknD0G"),
        ("K7&wZ2rT9x", ""),
        ("Kq7wZ2", '&rT9"'),
        ("Kq7&wZ2rT9", "&limit=5"),
        ("Kq7wZ2rT9x", "&amp;"),
    ],
)
def test_an_ampersand_ends_a_password_only_before_a_parameter(value: str, after: str) -> None:
    assert holds("password_value", value, "password: ", after)


def test_what_follows_an_ampersand_in_a_query_is_no_part_of_the_password() -> None:
    assert not holds("password_value", "abc", "https://x.test/?pwd=", "&limit=2024")
    assert not holds("password_value", "abc&limit=2024Q4x", "https://x.test/?pwd=")


@pytest.mark.parametrize("value", ["cZzsKtucGTjC", "KFLGW?Tbkenl", "hv7#Lq2xTn", "Sommer2031"])
def test_a_sentence_can_hold_a_password(value: str) -> None:
    assert holds("prose_password", value, "the password is ")


@pytest.mark.parametrize("value", ["administrator", "YouTube", "required", "Authentication!", "confirmPassword"])
def test_a_word_in_a_sentence_is_no_password(value: str) -> None:
    assert not holds("prose_password", value, "the password is ")


def test_behind_a_dash_a_word_with_a_number_is_no_password() -> None:
    assert not holds("strong_password", "Windows11", "reset a password - ")
    assert holds("strong_password", "Windows#11x", "password - ")


@pytest.mark.parametrize("value", ["amber-falcon-lake-4821", "winter_rocket_275711", "marble-otter-9f3a61"])
def test_words_with_a_number_are_a_secret_under_the_name_of_an_application_s_secret(value: str) -> None:
    assert holds("secret_value", value, "clientSecret: ")
    assert not holds("secret_value", value, "secret: ")


@pytest.mark.parametrize("value", ["rise_to_the_sky_2024", "kv-prod-client-secret-48213", "my-app-secret-4821"])
def test_words_that_tell_where_a_secret_is_kept_are_none(value: str) -> None:
    assert not holds("secret_value", value, "clientSecret: ")


@pytest.mark.parametrize(("name", "expected"), [("change password to ", True), ("forgot password to ", False)])
def test_a_verb_before_the_name_can_set_a_password(name: str, expected: bool) -> None:
    assert holds("assigned_name", "Kq7wZ2rT9x", name) is expected
