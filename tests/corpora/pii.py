"""Requests that hold personal identifiers, and requests that only look as if they did; deterministic by seed."""

import random
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

from sentra.wire import AnalyzeRequest, PlannerContext, ToolDefinition
from tests.corpora import pii_national
from tests.corpora import pii_values as values

R = random.Random
Make = Callable[[R], str]


class Entity(NamedTuple):
    """How values of one entity look and what people call them; without ``words`` a value needs no name."""

    make: Make
    words: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


PHONE_WORDS = ("phone", "Phone number", "mobile", "cell", "Telefon", "Handynummer", "téléphone", "teléfono", "telefono", "tel", "telefone", "電話番号", "手机")  # fmt: skip
PHONE_KEYS = ("phone", "phoneNumber", "mobile_number", "customerPhone", "contactMobile", "home_phone", "telefon")
SSN_WORDS = ("SSN", "social security number", "Social Security", "SSN#", "ssn no.")
SSN_KEYS = (
    "ssn",
    "customerSsn",
    "employee_ssn",
    "SSN",
    "socialSecurityNumber",
    "social_security_number",
    "applicantSSN",
)
CARD_WORDS = ("card number", "credit card", "Visa", "Kreditkarte", "tarjeta", "carte bancaire", "debit card", "card no")
CARD_KEYS = ("cardNumber", "card_number", "creditCard", "pan", "paymentCard", "cc_number", "ccNumber")
ANY_KEYS = ("text", "body", "message", "value", "note", "query", "content", "emailMessage/Body")

DEFAULTS: dict[str, list[Entity]] = {
    "EMAIL_ADDRESS": [Entity(values.email)],
    "PHONE_NUMBER": [
        Entity(values.phone_e164),
        Entity(values.phone_nanp),
        Entity(values.phone_national, PHONE_WORDS, PHONE_KEYS),
    ],
    "IBAN_CODE": [Entity(values.iban)],
    "CREDIT_CARD": [Entity(values.card), Entity(values.card), Entity(values.card_named, CARD_WORDS, CARD_KEYS)],
    "US_SSN": [Entity(values.ssn_formatted), Entity(values.ssn_digits, SSN_WORDS, SSN_KEYS)],
}
NATIONAL = {name: [Entity(*entry) for entry in entries] for name, entries in pii_national.ENTITIES.items()}
ENTITIES = DEFAULTS | NATIONAL

BARE = [
    "Please add {v} to the record.",
    "{v}",
    "Here is what the customer sent: {v}. Can you update it?",
    "Bitte {v} im System hinterlegen, danke!",
    "Voici: {v}, merci de confirmer.",
    "Forward this to accounting ({v}) before noon",
    "El cliente mandó {v} ayer por la tarde",
    "first line\nsecond line {v}\nthird line",
    '{{"value": "{v}", "status": "open"}}',
    '[{{"id": 17, "data": "{v}"}}, {{"id": 18}}]',
    "name;value;city\nAnn;{v};Reno\n",
    "| field | value |\n|---|---|\n| entry | {v} |",
    "<record><value>{v}</value></record>",
    'note="{v}"',
]
NAMED = [
    "{w}: {v}",
    "My {w} is {v}.",
    "the {w} on file is {v}, please check",
    "{w} {v}",
    "{w}={v}",
    "Kunde Meyer, {w}: {v}, seit 2019",
    "Ticket 4412: the caller gave {v} as {w}",
    "Can you store this {w} for me?\n{v}",
    '{{"{w}": "{v}", "status": "open"}}',
    '{{"customer": {{"name": "Ann Lee", "{w}": "{v}", "city": "Reno"}}}}',
    "name,{w},city\nAnn,{v},Reno\n",
    "| name | {w} | city |\n|------|-----|------|\n| Ann Lee | {v} | Reno |\n",
    "name\t{w}\nBob\tnone\nAnn\t{v}\n",
    "- name: Ann\n- {w}: {v}\n- city: Reno",
    "<b>{w}</b>: {v}",
    "{w} - {v}",
    "{w} ({v})",
]


def positives(name: str, count: int, seed: int = 7) -> Iterator[tuple[str, AnalyzeRequest]]:
    """``count`` values of the entity ``name``, each with a request that holds it."""
    rng = R(f"{seed}-{name}")
    for _ in range(count):
        entity = rng.choice(ENTITIES[name])
        value = entity.make(rng)
        yield value, _request(rng, *_placed(rng, entity, value))


def _placed(rng: R, entity: Entity, value: str) -> tuple[str | None, str]:
    """The argument name, if it is to stand in one of its own, and the text."""
    if entity.keys and rng.random() < 0.3:
        return rng.choice(entity.keys), value
    if not entity.words:
        return None, rng.choice(BARE).format(v=value)
    return None, rng.choice(NAMED).format(v=value, w=rng.choice(entity.words))


def _request(rng: R, key: str | None, text: str) -> AnalyzeRequest:
    planner, arguments = PlannerContext(userMessage="Please go on."), {"subject": "update", "count": 3}
    if key is not None:
        arguments |= {key: text} if rng.random() < 0.7 else {"record": {"name": "Ann", key: text}}
        return AnalyzeRequest(planner, ToolDefinition(id="t", name="Update record"), arguments)
    place = rng.randrange(4)
    if place == 0:
        planner.userMessage = text
    elif place == 1:
        planner.chatHistory = [{"role": rng.choice(["user", "assistant"]), "content": text}]
    elif place == 2:
        arguments[rng.choice(ANY_KEYS)] = text
    else:
        arguments["items"] = [{"note": text}]
    return AnalyzeRequest(planner, ToolDefinition(id="t", name="Update record"), arguments)


def negatives(count: int, seed: int = 11) -> Iterator[tuple[str, AnalyzeRequest]]:
    """``count`` texts of ordinary ids, times and figures, each with a request that holds it."""
    rng = R(f"{seed}-negatives")
    for _ in range(count):
        text = near_miss(rng)
        yield text, _request(rng, None, text)


def near_miss(rng: R) -> str:
    """A sentence, record or table with values that are no personal identifier."""
    d, word = values.digits, rng.choice
    guid = str(uuid.UUID(int=rng.getrandbits(128)))
    hexed = f"{rng.getrandbits(160):040x}"
    day = f"20{rng.randint(10, 29)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    order = word(
        [
            f"ORD-{d(rng, 8)}",
            d(rng, 10),
            f"{d(rng, 3)}-{d(rng, 7)}-{d(rng, 7)}",
            f"PO{d(rng, 9)}",
            d(rng, 9),
            d(rng, 12),
            d(rng, 8),
        ]
    )
    tracking = word(
        [
            f"1Z{values.letters(rng, 6, values.UPPER + values.DIGITS)}{d(rng, 10)}",
            d(rng, 12),
            d(rng, 15),
            f"9400{d(rng, 18)}",
            f"JD{d(rng, 18)}",
            d(rng, 10),
            f"RR{d(rng, 9)}DE",
            d(rng, 20),
        ]
    )
    amount = f"{rng.randint(1, 999)},{d(rng, 3)}.{d(rng, 2)}"
    point = f"{rng.uniform(-89, 89):.6f}, {rng.uniform(-179, 179):.6f}"
    version = f"{rng.randint(0, 20)}.{rng.randint(0, 99)}.{rng.randint(0, 9999)}.{rng.randint(0, 99999)}"
    host = ".".join(str(rng.randint(1, 254)) for _ in range(4))
    sku = word(
        [
            f"{values.letters(rng, 3)}-{d(rng, 4)}-{d(rng, 3)}",
            f"{values.letters(rng, 2)}{d(rng, 6)}{values.letters(rng, 1)}",
            f"SKU{d(rng, 8)}",
            f"{d(rng, 3)}-{d(rng, 5)}-{values.letters(rng, 2)}",
        ]
    )
    isbn = word(
        [
            f"978-{d(rng, 1)}-{d(rng, 3)}-{d(rng, 5)}-{d(rng, 1)}",
            f"978{d(rng, 10)}",
            f"{d(rng, 1)}-{d(rng, 3)}-{d(rng, 5)}-{d(rng, 1)}",
        ]
    )
    return word(
        [
            f"Where is my order {order}? It was placed on {day}.",
            f"Order number {order} shipped, tracking {tracking}.",
            f"Tracking number: {tracking} (DHL), invoice INV-{d(rng, 7)} over {amount} EUR",
            f'{{"orderId": "{order}", "trackingNumber": "{tracking}", "total": {rng.randint(10, 9999)}.{d(rng, 2)}}}',
            f"Correlation id {guid}, commit {hexed}, build {version}",
            f'{{"correlationId": "{guid}", "sha1": "{hexed}", "etag": "{hexed[:16]}"}}',
            f"{day}T{clock}.{d(rng, 7)}Z job finished after {d(rng, 5)} ms",
            f"epoch {rng.randint(10**12, 2 * 10**12 - 1)} and {rng.randint(10**9, 2 * 10**9 - 1)} differ",
            f"The sensor at {point} reported {rng.uniform(-40, 60):.7f}",
            f"Item {d(rng, 10)} is out of stock, replace by {sku}",
            f"ticket {d(rng, 8)} and incident INC{d(rng, 7)} were merged into case {d(rng, 8)}",
            f"flight {values.letters(rng, 2)}{d(rng, 4)} on {day}, booking {values.letters(rng, 6, values.UPPER + values.DIGITS)}",
            f"ISBN {isbn} and EAN {d(rng, 13)} are the same book",
            f"host {host} runs version {version}; upgrade to {rng.randint(1, 9)}.{rng.randint(0, 30)}",
            f"| order | item | qty |\n|---|---|---|\n| {d(rng, 10)} | {d(rng, 8)} | {rng.randint(1, 99)} |\n| {d(rng, 9)} | {sku} | 4 |",
            f"id,product,amount\n{d(rng, 9)},{sku},{amount.replace(',', '')}\n{d(rng, 10)},{sku},12.00\n",
            f"The file has {d(rng, 9)} bytes, {d(rng, 11, '123456789')} ticks and a size of {d(rng, 6)}",
            f"ticks 63{d(rng, 16)} snowflake {d(rng, 18, '1')}",
            f"Rechnung Nr. {d(rng, 10)} vom {day} über {amount} EUR, Kundennummer {d(rng, 7)}",
            f"Numéro de commande {d(rng, 10)}, colis {tracking}",
            f"Pedido {d(rng, 9)} con factura {d(rng, 8)} por {amount}",
            f"Call scheduled for {day} {clock}, see ticket {d(rng, 8)}",
            f"Contact support about order {order}; phone lines open 8-18",
            f"The email about invoice {d(rng, 9)} was sent on {day}",
            f"Please pay {amount} USD for quote Q-{d(rng, 6)}-{d(rng, 4)}, contract {d(rng, 10)}",
            f"serial number {values.letters(rng, 3)}{d(rng, 9)}, part no. {d(rng, 3)}-{d(rng, 4)}-{d(rng, 2)}",
            f"https://shop.example/item/{d(rng, 10)}?ref={d(rng, 12)}&s={hexed[:12]}",
            f"warehouse bin {d(rng, 2)}-{d(rng, 2)}-{d(rng, 4)}, pallet {d(rng, 18)}",
            f"from logo@2x.png to pkg@{rng.randint(1, 9)}.{rng.randint(0, 9)}.0 and @team.lead",
            f"Q3 revenue was {amount}.000 up {rng.randint(1, 90)}.{d(rng, 7)} %",
            f"meeting id {d(rng, 3)} {d(rng, 4)} {d(rng, 4)} passcode {d(rng, 6)}",
            f"Message-ID: <{hexed[:20]}@mail.acme.test> In-Reply-To: <{d(rng, 10)}.{d(rng, 3)}.x@mx1.acme.test>",
            f"as required by clause {d(rng, 3, '2345')}.{d(rng, 3, '2345')}-{d(rng, 4)} of the regulation",
            f"years {rng.randint(1990, 2009)}-{rng.randint(2010, 2026)}, mobile team; fingerprint {':'.join(hexed[n : n + 2] for n in range(0, 32, 2))}",
            f"Đơn hàng {d(rng, 8)} của tôi, заказ {d(rng, 8)} в пути",
            f"task {d(rng, 7)} user story {d(rng, 6)} sprint {rng.randint(1, 99)}",
            f'{{"itemId": {d(rng, 10, "123456789")}, "qty": {rng.randint(1, 9)}, "createdAt": "{day}T{clock}.{d(rng, 7)}+00:00"}}',
            f'{{"accountRef": "{d(rng, 8)}", "lastModified": {rng.randint(10**12, 2 * 10**12 - 1)}, "size": {d(rng, 8, "123")}}}',
        ]
    )
