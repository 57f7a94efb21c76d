"""Second looks at identifiers: what names a value, what it is part of, and the checks that are written here."""

import random

import phonenumbers
import pytest
from stdnum import luhn

from sentra import confirm
from sentra.confirm import Hit, parse
from sentra.confirm.cards import luhn_holds
from sentra.confirm.tables import Header, column_header
from sentra.confirm.wallets import base58check, keccak256
from sentra.ruleset import compile_pattern, word_pattern

SSN = compile_pattern(word_pattern(["ssn", "social security", "tax id"]))


def hit(text: str, value: str, named: bool = True) -> Hit:
    """``value`` at its first place in ``text``."""
    buffer = text.encode()
    start = buffer.index(value.encode())
    return Hit(buffer, start, start + len(value.encode()), 0, len(buffer), SSN if named else None)


@pytest.mark.parametrize(
    "text",
    [
        "ssn: 536228714",
        "customerSsn: 536228714",
        "customer_ssn=536228714",
        "SSN#536228714",
        '{"socialSecurity": "536228714"}',
        "<taxId>536228714</taxId>",
        "social-security 536228714",
        "here is 536228714 (SSN)",
        "name,ssn\nAnn,536228714",
        "| name | SSN |\n|---|---|\n| Ann | 536228714 |",
        "order 12 was late; my ssn is 536228714",
        "536228714 is the ssn",
    ],
)
def test_a_word_a_key_or_a_column_names_the_value(text: str) -> None:
    assert parse("label")(hit(text, "536228714"))


@pytest.mark.parametrize(
    "text",
    [
        "536228714",
        "the ssn was checked for order 536228714",
        '{"ssn": null, "employee": "536228714"}',
        "| ssn | rows |\n|---|---|\n| none | 536228714 |",
        "ssnap 536228714",
        "rows 536228714. SSN: none",
        "ssn" + " " * 90 + "536228714",
    ],
)
def test_nothing_or_something_else_names_the_value(text: str) -> None:
    assert not parse("label")(hit(text, "536228714"))


def test_without_context_words_nothing_is_named() -> None:
    assert not parse("label")(hit("ssn: 536228714", "536228714", named=False))


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("a 4155550132 b", True),
        ("(4155550132)", True),
        ("id:4155550132.", True),
        ("5,4155550132", True),
        ("\\n4155550132", True),
        ("3f-4155550132", False),
        ("4155550132-9", False),
        ("0.4155550132", False),
        ("4155550132.5", False),
        ("x4155550132", False),
        ("4155550132@x", False),
    ],
)
def test_a_value_stands_alone(text: str, alone: bool) -> None:
    assert parse("standalone")(hit(text, "4155550132")) is alone


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        ("luhn", "4539148803436467", "4539148803436468"),
        ("card_number", "4539148803436467", "4111111111111112"),
        ("iban", "DE75512108001245126199", "DE75512108001245126198"),
        ("us_ssn", "536-22-8714", "666-22-8714"),
        ("us_ssn", "536-22-8714", "078-05-1120"),
        ("us_itin", "912-70-1234", "912-89-1234"),
        ("us_npi", "1234567893", "1234567890"),
        ("us_dea", "AB1234563", "AB1234564"),
        ("uk_nino", "AB123456C", "GB123456C"),
        ("de_document", "T220001293", "T220001294"),
        ("de_pension", "15070649C103", "15070649C104"),
        ("pl_id_card", "ABA300000", "ABA400000"),
        ("ru_snils", "112-233-445 95", "112-233-445 96"),
        ("cn_resident", "11010519491231002X", "110105194912310021"),
        ("sg_nric", "S1234567D", "S1234567E"),
        ("hk_identity", "A123456(3)", "A123456(4)"),
        ("tw_identity", "A123456789", "A123456788"),
        ("au_medicare", "2123456701", "2123456711"),
        ("hu_tax", "8123456786", "8123456783"),
        ("birth_date", "31.12.1985", "31.31.1985"),
        ("birth_date", "3 May 1985", "3 May 1785"),
        ("public_ip", "8.8.4.4", "192.168.1.1"),
        ("geo_point", "52.52000, 13.40495", "95.52000, 13.40495"),
        ("phone_national", "030 901820", "2024-05-01"),
        ("phone_national", "030 901820", "10.120.33.201"),
        ("email_address", "a@contoso.com", "a@contoso.png"),
        ("wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
        ("wallet", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
        ("wallet", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1Beaed"),
        ("stdnum:es.dni", "12.345.678-Z", "12.345.678-A"),
        ("one_separator", "1-2-3", "1-2 3"),
    ],
)
def test_a_check_tells_a_valid_value_from_a_near_one(spec: str, good: str, bad: str) -> None:
    check = confirm.parse(spec)
    assert (check(hit(good, good)), check(hit(bad, bad))) == (True, False)


def test_keccak_of_nothing_is_the_published_one() -> None:
    assert keccak256(b"").hex().startswith("c5d2460186f7233c927e7db2dcc703c0")


def test_base58check_refuses_what_is_too_short() -> None:
    assert not base58check("1111")


def test_a_header_is_sought_only_above_the_value() -> None:
    text = b"a,b\n1,2\n"
    assert column_header(text, text.index(b"2"), 0, {}) == b"b"
    assert column_header(text, 0, 0, {}) is None


def test_a_far_header_costs_no_more_than_a_near_one() -> None:
    text = b"ssn,b\n" + b"1,2\n" * 5000 + b"536228714,x"
    assert column_header(text, len(text) - 11, 0, {}) is None


@pytest.mark.parametrize("name", ["customerSsn", "customer_ssn", "SSNNumber", "ssn1"])
def test_context_words_are_found_inside_names(name: str) -> None:
    assert parse("context")(hit(f"{name}: 5", "5"))


@pytest.mark.parametrize(
    "text",
    ["<tr><td>СНИЛС</td><td>{v}</td></tr>", "<b>СНИЛС</b> {v}<br/>", "<p><strong>СНИЛС:</strong> <span>{v}</span></p>"],
)
def test_markup_between_a_name_and_its_value_says_nothing(text: str) -> None:
    text = text.format(v="106-522-049 15")
    buffer = text.encode()
    start = buffer.index(b"106-")
    context = compile_pattern(word_pattern(["снилс"]))
    assert parse("label")(Hit(buffer, start, start + 14, 0, len(buffer), context))


@pytest.mark.parametrize(
    "text",
    [
        "Message-ID: <f3a90c1d7be24458@mail.acme.test>",
        "In-Reply-To: <1718033.55.acme@mail.acme.test>",
        '"internetMessageId": "<DB7PR04MB51@mail.acme.test>"',
        "<9d1f22ab30c74e7188f2@mail.acme.test>",
    ],
)
def test_an_id_of_a_mail_is_no_mailbox(text: str) -> None:
    value = text.partition("<")[2].partition(">")[0]
    assert not parse("email_address")(hit(text, value))


@pytest.mark.parametrize(
    "text", ["From: Ann Lee <ann.lee@mail.acme.test>", "<ann2024@mail.acme.test>", "to ann.lee@mail.acme.test"]
)
def test_a_mailbox_in_angle_brackets_is_one(text: str) -> None:
    value = next(word.strip("<>") for word in text.split() if "@" in word)
    assert parse("email_address")(hit(text, value))


def test_the_luhn_check_agrees_with_the_library_s() -> None:
    rng = random.Random(11)
    numbers = ["".join(rng.choices("0123456789", k=rng.randint(8, 19))) for _ in range(3_000)]
    assert [luhn_holds(number) for number in numbers] == [luhn.is_valid(number) for number in numbers]


def test_example_numbers_of_every_region_have_a_length_that_is_possible() -> None:
    examples = filter(None, map(phonenumbers.example_number, phonenumbers.SUPPORTED_REGIONS))
    written = [phonenumbers.format_number(n, phonenumbers.PhoneNumberFormat.INTERNATIONAL) for n in examples]
    missed = [number for number in written if not parse("phone_international")(hit(number, number))]
    assert missed == []


@pytest.mark.parametrize("text", ["+999123456789", "+210 5551234", "+49 12", "+4915112345678901234"])
def test_a_number_without_a_country_or_of_no_possible_length_is_no_phone(text: str) -> None:
    assert not parse("phone_international")(hit(text, text))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5323 4532 0151 1283 0366 541D 542D", "4532 0151 1283 0366"),
        ("\n541D 4532 0151 1283 0366\n", "4532 0151 1283 0366"),
    ],
)
def test_groups_in_a_table_of_codes_are_no_card(text: str, value: str) -> None:
    assert not parse("uncoded")(hit(text, value))


@pytest.mark.parametrize(
    "text", ["4532 0151 1283 0366 12/27 123", "card 4532 0151 1283 0366", "4532 0151 1283 0366 ok"]
)
def test_a_card_before_its_date_stands_alone(text: str) -> None:
    assert parse("uncoded")(hit(text, "4532 0151 1283 0366"))


def test_a_letter_beside_a_letter_of_another_script_belongs_to_a_word() -> None:
    assert not parse("standalone")(hit("hàng 12345678 zủa", "12345678 z"))
    assert parse("standalone")(hit("身份證A123456789號", "A123456789"))


@pytest.mark.parametrize("text", ["404-586-1747 ext. 44", "404.586.1747", "(404) 586-1747", "1-404-586-1747"])
def test_a_north_american_number_may_have_an_extension(text: str) -> None:
    assert parse("phone_north_american")(hit(text, text))


def test_a_paragraph_of_a_rule_is_no_phone() -> None:
    assert not parse("phone_north_american")(hit("252.227-7013", "252.227-7013"))


def test_what_is_known_of_a_line_is_what_would_be_found_again() -> None:
    lines = ["name,phone", "Ann,555", "a;b;c", "x;1;2", "|k|v|", "|--|--|", "|1|2|", "no table", *["p,q"] * 1500]
    text = "\n".join(lines).encode()
    known: dict[int, Header] = {}
    for low in (0, len(text) // 2):
        known.clear()
        for start in range(low, len(text), 3):
            assert column_header(text, start, low, known) == column_header(text, start, low, {})
    assert known
