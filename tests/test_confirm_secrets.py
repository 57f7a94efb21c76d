"""Second looks at secrets: checksums against known answers, decoding, placeholders, names and values."""

import base64
import random
import zlib

import pytest

from sentra.confirm import Hit, parse
from sentra.confirm import tokens as tokens_module
from sentra.confirm.encodings import unbase64, unjson
from sentra.confirm.secrets import credible, is_placeholder, is_uuid, shannon, stretch
from sentra.confirm.tokens import AZURE_SEEDS, CHECKSUMS, marvin32, to_base62
from tests.corpora.secrets import fill

RNG = random.Random(11)


def hit(value: str, before: str = "", after: str = "") -> Hit:
    left, middle, right = before.encode(), value.encode(), after.encode()
    buffer = left + middle + right
    return Hit(buffer, len(left), len(left) + len(middle), 0, len(buffer))


def holds(spec: str, value: str, before: str = "", after: str = "") -> bool:
    return parse(spec)(hit(value, before, after))


@pytest.mark.parametrize(
    ("data", "expected"),
    [("", 0x30ED35C100CD3C7D), ("AF", 0x48E73FC77D75DDC1), ("E70F", 0xB5F6E1FC485DBFF8)],
)
def test_marvin_gives_the_published_answers(data: str, expected: int) -> None:
    folded = (expected >> 32) ^ (expected & 0xFFFFFFFF)
    assert marvin32(bytes.fromhex(data), (0x4FB61A001BDBCC).to_bytes(8, "big")) == folded


def test_marvin_reads_whole_blocks_before_its_tail() -> None:
    seed = b"Default0"
    assert len({marvin32(bytes(range(size)), seed) for size in range(20)}) == 20


def azure_key(signature: str, size: int, seed: str) -> str:
    """A key of ``size`` bytes with its signature and its checksum in place."""
    raw = RNG.randbytes(size)
    encoded = base64.b64encode(raw).decode().rstrip("=")
    encoded = encoded[:-10] + signature + encoded[-6:]
    body = base64.b64decode(encoded + "=" * (-len(encoded) % 4))[:-4]
    return base64.b64encode(body + marvin32(body, seed.encode()).to_bytes(4, "little")).decode()


@pytest.mark.parametrize(("signature", "size"), [("+ASt", 64), ("ACDb", 64), ("+ASb", 32), ("+ACR", 39)])
def test_an_azure_key_s_checksum_is_recognised(signature: str, size: int) -> None:
    key = azure_key(signature, size, AZURE_SEEDS[signature][0])
    assert CHECKSUMS["azure"](key)
    assert holds("azure_signature", key)
    assert not CHECKSUMS["azure"](("B" if key[0] == "A" else "A") + key[1:])


def github_token(body: str) -> str:
    return f"ghp_{body}{to_base62(zlib.crc32(body.encode()), 6)}"


def test_a_github_checksum_is_the_crc_of_the_thirty_characters_before() -> None:
    token = github_token("aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1")
    assert CHECKSUMS["crc32_base62"](token)
    assert not CHECKSUMS["crc32_base62"](token[:-1] + ("0" if token[-1] != "0" else "1"))


def test_a_valid_checksum_makes_even_a_monotonous_token_certain() -> None:
    token = github_token("a" * 30)
    assert holds("checked:crc32_base62", token)
    assert not holds("checked:crc32_base62", "ghp_" + "a" * 36)


def test_a_failing_checksum_clears_nothing() -> None:
    token = fill("ghp_{b62:36}", RNG)
    assert not CHECKSUMS["crc32_base62"](token)
    assert holds("checked:crc32_base62", token)


@pytest.mark.parametrize("order", ["big", "little"])
@pytest.mark.parametrize(("body", "mark"), [("glsa_Ab3dE5gH7jK9mN1pQ3sT5vW7yZ9bD1fG", "_"), ("ATATT3xFfGx8", "=")])
def test_a_hex_checksum_is_read_in_either_byte_order(body: str, mark: str, order: str) -> None:
    digits = zlib.crc32(body.encode()).to_bytes(4, "big" if order == "big" else "little").hex()
    assert CHECKSUMS["crc32_hex"](f"{body}{mark}{digits}")
    assert not CHECKSUMS["crc32_hex"](f"{body}{mark}{'0' * 8}")


def test_a_routable_gitlab_token_carries_its_length_and_crc() -> None:
    body = "glpat-" + fill("{b62:27}", RNG) + ".0r"
    number, digits = zlib.crc32(body.encode()), ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    assert CHECKSUMS["gitlab"](body + digits.rjust(7, "0"))
    assert not CHECKSUMS["gitlab"](body + "0" * 7)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base58check", "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"),
        ("base58check", "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617"),
        ("bech32", "A12UEL5L"),
        ("bech32", "a1lqfn3a"),
    ],
)
def test_a_published_sample_passes_its_checksum(name: str, value: str) -> None:
    assert holds(f"checksum:{name}", value)
    assert not holds(f"checksum:{name}", value[:-1] + ("x" if value[-1] != "x" else "z"))


def test_a_character_outside_the_alphabet_is_no_valid_checksum() -> None:
    assert not holds("checksum:base58check", "0OIl" * 12)
    assert not holds("checksum:azure", "*")


def test_base62_is_padded() -> None:
    assert [to_base62(number, 6) for number in (0, 61, 62)] == ["000000", "00000z", "000010"]


def jwt(header: bytes, payload: bytes) -> str:
    parts_ = (base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (header, payload, RNG.randbytes(32)))
    return ".".join(parts_)


@pytest.mark.parametrize(
    ("header", "payload", "expected"),
    [
        (b'{"alg":"RS256"}', b'{"sub":"a"}', True),
        (b'{"alg":"dir","enc":"A256GCM"}', b'{"sub":"a"}', True),
        (b'{"alg":"none"}', b'{"sub":"a"}', False),
        (b'{"typ":"JWT"}', b'{"sub":"a"}', False),
        (b'{"alg":"HS256"}', b'{"sub":"1234567890","name":"John Doe","iat":1516239022}', False),
        (b'{"alg":"HS256"}', b'{"sub":"1234567890","name":"Svc","scope":"all"}', True),
    ],
)
def test_a_web_token_is_judged_by_what_it_decodes_to(header: bytes, payload: bytes, expected: bool) -> None:
    assert holds("jwt", jwt(header, payload)) is expected


def test_a_web_token_with_a_broken_header_counts_when_the_rest_is_random() -> None:
    assert holds("jwt", fill("eyJhbGciOi{b62:21}.eyJ{b62:40}.{url:43}", RNG))
    assert not holds("jwt", fill("eyJhbGciOi{b62:21}.aaa.{url:43}", RNG))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("svc:q8weR7ty2u10", True),
        ("username:password", False),
        ("no colon here", False),
        (":", False),
        ("a:\x00bcdefg", False),
    ],
)
def test_basic_credentials_must_decode_to_a_pair(text: str, expected: bool) -> None:
    assert holds("basic_auth", base64.b64encode(text.encode()).decode()) is expected


def test_a_pem_needs_a_body() -> None:
    body = fill("{b64:64}\n{b64:64}", RNG)
    assert holds("pem_body", f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----")
    assert holds("pem_body", "-----BEGIN PRIVATE KEY-----\\n" + body.replace("\n", "\\n"))
    assert holds(
        "pem_body", f"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\n{body}"
    )
    assert not holds("pem_body", "-----BEGIN RSA PRIVATE KEY-----\n" + "A" * 128)
    assert not holds("pem_body", "-----BEGIN RSA PRIVATE KEY-----\nMIIE...\n-----END RSA PRIVATE KEY-----")


@pytest.mark.parametrize(("text", "expected"), [("118726345908712345", True), ("not digits at all", False)])
def test_a_bot_token_begins_with_a_number(text: str, expected: bool) -> None:
    first = base64.b64encode(text.encode()).decode().rstrip("=")
    assert holds("numeric_first_part", f"{first}.Gabcde.xyz") is expected


def test_decoding_refuses_what_is_neither_base64_nor_json() -> None:
    assert unbase64("a*b") is None
    assert unbase64("a") is None
    assert unjson(b"{") is None
    assert unjson(b"[" * 100_000) is None


@pytest.mark.parametrize(
    "value",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "ghp_xxxxxxxxxxxx",
        "sk_live_000000000000",
        "your_api_key",
        "abcdefghij",
        "key-123456",
        "CHANGEME-now",
        "******",
    ],
)
def test_documentation_is_a_placeholder(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["AKIAQ5RT2YWXK3LM7PNB", "q8Zr4Tk1Wn7Yb3Vx", "hunter2", "Sommer#2031"])
def test_a_value_is_no_placeholder(value: str) -> None:
    assert not is_placeholder(value)


def test_random_tokens_are_hardly_ever_taken_for_placeholders() -> None:
    rng = random.Random(3)
    refused = sum(not credible(fill("{b62:40}", rng)) for _ in range(5_000))
    assert refused <= 5


def test_entropy_is_measured_in_bits_per_character() -> None:
    assert [shannon(text) for text in ("", "aaaa", "abab", "abcd")] == [0.0, 0.0, 1.0, 2.0]


@pytest.mark.parametrize(("text", "size"), [("", 0), ("a", 1), ("k123z", 3), ("zyxw", 4), ("a-b-c", 1), ("az", 1)])
def test_a_stretch_rises_or_falls_by_one(text: str, size: int) -> None:
    assert stretch(text) == size


def test_a_piece_of_an_image_is_no_token() -> None:
    blob = fill("{b64:60}", RNG)
    token = fill("AIza{b62:35}", RNG)
    assert holds("token", token, before="key=")
    assert not holds("token", token, before=f"{blob}/", after=blob)


@pytest.mark.parametrize(
    ("before", "after", "expected"), [("", "", True), ("x", "", False), ("", "-y", False), ("=", "&", True)]
)
def test_whole_means_that_the_run_ends(before: str, after: str, expected: bool) -> None:
    assert holds("whole", "abc", before, after) is expected


@pytest.mark.parametrize(
    ("spec", "value", "expected"),
    [
        ("length:40", "a" * 40, True),
        ("length:37-40", "a" * 41, False),
        ("length:32,64", "a" * 64, True),
        ("holds:T3Blbk", "xxT3Blbkxx", True),
        ("not holds:T3Blbk", "xxT3Blbkxx", False),
        ("any:uuid|mixed", "1b4e28ba-2fa1-41d2-883f-0016d3cca427", True),
        ("any:uuid|mixed", "letters", False),
        ("upper_and_lower", "aB3", True),
        ("upper_and_lower", "ab3", False),
        ("mixed", "sk_test_qwRtZuPoLkJhGfD", True),
        ("mixed", "sk_test_customerpaysbycard", False),
        ("seed_words", "ocean lamp tiger cradle fabric noble pilot sugar victory zone orbit maple", True),
        ("seed_words", "the secret is that you have to add sugar while it boils slowly", False),
        ("base64_text", base64.b64encode(b"s3cr3t-value").decode(), True),
        ("base64_text", "x" * 9, False),
    ],
)
def test_a_confirm_by_name(spec: str, value: str, expected: bool) -> None:
    assert holds(spec, value) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1B4E28BA-2fa1-41d2-883f-0016d3cca427", True),
        ("{1b4e28ba-2fa1-41d2-883f-0016d3cca427}", True),
        ("1b4e28ba", False),
    ],
)
def test_a_uuid_is_known_by_its_form(text: str, expected: bool) -> None:
    assert is_uuid(text) is expected


def test_a_shared_access_signature_needs_two_more_parts() -> None:
    assert holds("azure_sas", "abc", "?sv=2023-11-03&sp=r&sig=")
    assert holds("azure_sas", "abc", "sr=bus&sig=", "&se=1767225600")
    assert not holds("azure_sas", "abc", "?se=1&sig=")


def test_every_seed_has_eight_characters() -> None:
    assert {len(seed) for seeds in tokens_module.AZURE_SEEDS.values() for seed in seeds} == {8}


def test_a_run_of_zero_bytes_in_a_long_key_is_no_filler() -> None:
    key = fill("{b62:52}", random.Random(3)) + "JQQJ99BLACAAAAAAAAAAAAAASAZDO3xAI"
    assert not is_placeholder(key)


@pytest.mark.parametrize("value", ["ghp_" + "A" * 36, "A" * 60, "key-AAAAAAAA-b"])
def test_a_run_of_one_letter_is_filler_elsewhere(value: str) -> None:
    assert is_placeholder(value)


@pytest.mark.parametrize("value", ["tok_123456ab", "x987654y", "key-abcdefgh", "zyxwvu-1"])
def test_a_stretch_of_the_alphabet_or_of_the_digits_is_filler(value: str) -> None:
    assert is_placeholder(value)
