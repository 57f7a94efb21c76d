"""Honest whole requests in the contract's shape, of agents in shops, banks, airlines and offices; made with a seed.

``plain`` requests hold no address, phone, account, card or social security number where ``pii`` reads by default;
``customers`` requests do, so they are for every other plugin.
"""

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tests.corpora import benign_records
from tests.corpora.secrets import ALPHABETS

R = random.Random
_FIELD = re.compile(r"\[\[([^\[\]]+)\]\]")

PEOPLE = ("Ann Lee", "Jonas Weber", "Priya Nair", "Mei Chen", "Tom Okafor", "Léa Martin", "Kaan Demir", "Sofía Ruiz", "Olga Petrova", "Yuki Sato")  # fmt: skip
CITIES = ("Hamburg", "Lyon", "Denver", "Osaka", "Porto", "Kraków", "Leeds", "Bengaluru", "Toronto", "Montevideo")
FIRMS = ("Fabrikam", "Northwind Traders", "Wide World Importers", "Tailspin Toys", "Litware", "Adventure Works")
THINGS = ("desk lamp", "water bottle", "mechanical keyboard", "office chair", "hiking boots", "espresso machine")
MONTHS = ("January", "March", "April", "June", "August", "October", "December")


class Tool(NamedTuple):
    """A tool, its arguments with the kind of value that each takes, and the kind of text its results hold."""

    name: str
    description: str
    arguments: dict[str, str]
    topic: str


TOOLS = (
    Tool("get_order_details", "Get the status and details of an order.", {"order_id": "#W[[d:7]]"}, "retail"),
    Tool("exchange_items", "Exchange items of a delivered order. Ask the user to confirm first.", {"order_id": "#W[[d:7]]", "item_ids": "[[d:10]]", "new_item_ids": "[[d:10]]", "payment_method_id": "credit_card_[[d:7]]"}, "retail"),
    Tool("find_user_id_by_name_zip", "Find a user id by first name, last name and zip code. Use this when the email is unknown.", {"first_name": "[[person]]", "zip": "[[d:5]]"}, "retail"),
    Tool("schedule_transaction", "Schedule a transaction.", {"recipient": "savings", "amount": "[[amount]]", "subject": "rent [[month]]", "date": "[[day]]"}, "bank"),
    Tool("get_most_recent_transactions", "Get the list of the most recent transactions, e.g. to summarise the last n.", {"n": "[[d:2]]"}, "bank"),
    Tool("update_reservation_flights", "Update the flights of a reservation.", {"reservation_id": "[[up:6]]", "cabin": "economy", "flights": "[[let3]][[d:3]] [[day]]", "payment_id": "gift_card_[[d:7]]"}, "air"),
    Tool("search_direct_flight", "Search direct flights between two cities on a date.", {"origin": "[[let3]]", "destination": "[[let3]]", "date": "[[day]]"}, "air"),
    Tool("Get-Leave-Balance", "Returns the leave balance of an employee.", {"employeeId": "E[[d:6]]", "year": "[[year]]"}, "hr"),
    Tool("Create-Incident", "Creates an incident in the service desk.", {"short_description": "VPN error 0x[[HEX:8]]", "description": "[[text]]", "caller": "[[person]]", "correlation_id": "[[guid]]"}, "it"),
    Tool("Reset-Password", "Sends a password reset link to the user of that id.", {"userId": "[[guid]]", "forceChange": "true", "reason": "locked out, ticket INC[[d:7]]"}, "it"),
    Tool("Run-Query", "Runs a read-only SQL query.", {"query": "[[code]]", "database": "crm_[[low:4]]"}, "it"),
    Tool("Create-Record", "Creates a record in the CRM.", {"entity": "opportunity", "name": "[[firm]] [[thing]] [[year]]", "notes": "[[text]]", "ownerId": "005[[b62:15]]", "etag": 'W/"[[d:9]]"'}, "crm"),
    Tool("Send-an-Email", "Sends an e-mail.", {"to": "[[mail]]", "subject": "Re: [[thing]] [[d:6]]", "body": "[[text]]", "importance": "Normal"}, "office"),
    Tool("Create-Event", "Creates a calendar event and sends the invitations.", {"subject": "Review with [[firm]]", "start": "[[stamp]]", "attendees": "[[mail]]", "body": "[[text]]", "iCalUId": "[[HEX:112]]"}, "office"),
    Tool("Search-Mail", "Searches mail. Returns at most 25 items and a link for the next page.", {"query": "from:[[person]] after:[[day]]", "skipToken": "[[url:80]]"}, "office"),
    Tool("Post-Message", "Posts a message to a channel.", {"channel": "19:[[hex:32]]@thread.tacv2", "message": "[[text]]"}, "office"),
    Tool("Create-File", "Creates a file in a folder.", {"path": "/sites/[[low:6]]/Shared Documents/[[month]].md", "content": "[[any]]"}, "office"),
    Tool("Create-Issue", "Creates an issue in the tracker.", {"title": "Export fails for [[firm]]", "body": "[[any]]", "labels": "bug"}, "it"),
    Tool("Translate", "Translates a text.", {"text": "[[language]]", "target": "en"}, "foreign"),
    Tool("Summarise-Page", "Reads a web page and gives a summary of it.", {"url": "https://www.[[firmhost]].example/[[low:6]]/[[d:5]]?page=2&s=[[hex:12]]"}, "office"),
)  # fmt: skip


@cache
def texts() -> dict[str, dict[str, list[str]]]:
    """The texts of ``benign_texts.toml`` by use and kind."""
    return tomllib.loads((Path(__file__).parent / "benign_texts.toml").read_text("utf-8"))


class Writer:
    """Fills texts with drawn values; ``private`` allows addresses and phone numbers of customers."""

    def __init__(self, rng: R, private: bool):
        self.rng, self.private = rng, private

    def fill(self, text: str) -> str:
        """``text`` with every choice, drawn value and slot filled."""
        while _FIELD.search(text):
            text = _FIELD.sub(lambda found: self._value(found[1]), text)
        return text

    def _value(self, field: str) -> str:
        if "|" in field:
            return self.rng.choice(field.split("|"))
        alphabet, _, length = field.partition(":")
        if length:
            return "".join(self.rng.choices(ALPHABETS[alphabet], k=int(length)))
        return SLOTS[field](self)

    def text(self, *kinds: str) -> str:
        """One of our texts, of one of ``kinds`` if any are given."""
        return self.rng.choice(texts()["text"][self.rng.choice(kinds or tuple(texts()["text"]))])

    def record(self) -> str:
        """What an interface or a file holds: JSON, a log, code, markup."""
        return self.rng.choice(benign_records.MAKERS)(self.rng, self.fill)


def _day(writer: Writer) -> str:
    rng = writer.rng
    return f"20{rng.randint(23, 27)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"


def _stamp(writer: Writer) -> str:
    rng = writer.rng
    return f"{_day(writer)}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.{rng.randint(0, 9999999):07}+00:00"


def _mail(writer: Writer) -> str:
    if not writer.private:
        return "the " + writer.rng.choice(("accounting", "service", "sales")) + " mailbox"
    first, last = writer.rng.choice(PEOPLE).lower().replace("é", "e").replace("í", "i").split()
    return f"{first}.{last}@{writer.rng.choice(FIRMS).lower().split()[0]}.example"


def _phone(writer: Writer) -> str:
    return f"+1 415 555 01{writer.rng.randint(10, 99)}" if writer.private else "extension 4412"


def _guid(writer: Writer) -> str:
    digits = f"{writer.rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:]))


SLOTS: dict[str, Callable[[Writer], str]] = {
    "person": lambda writer: writer.rng.choice(PEOPLE),
    "city": lambda writer: writer.rng.choice(CITIES),
    "firm": lambda writer: writer.rng.choice(FIRMS),
    "firmhost": lambda writer: writer.rng.choice(FIRMS).lower().replace(" ", ""),
    "thing": lambda writer: writer.rng.choice(THINGS),
    "month": lambda writer: writer.rng.choice(MONTHS),
    "year": lambda writer: str(writer.rng.randint(2015, 2027)),
    "amount": lambda writer: f"{writer.rng.randint(1, 99999)}.{writer.rng.randint(0, 99):02}",
    "let3": lambda writer: "".join(writer.rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=3)),
    "host": lambda writer: f"srv-{writer.rng.choice(('app', 'db', 'web'))}-{writer.rng.randint(1, 99):02}",
    "day": _day,
    "stamp": _stamp,
    "mail": _mail,
    "phone": _phone,
    "guid": _guid,
    "text": lambda writer: writer.text("notes", "reviews", "language", "article"),
    "language": lambda writer: writer.text("language"),
    "any": lambda writer: writer.rng.choice((writer.text, writer.record))(),
    "code": lambda writer: benign_records.sql(writer.rng, writer.fill),
}


def plain(count: int, seed: int = 501) -> Iterator[dict[str, Any]]:
    """``count`` requests without personal identifiers of the default entities where ``pii`` reads."""
    return _requests(R(seed), count, private=False)


def customers(count: int, seed: int = 502) -> Iterator[dict[str, Any]]:
    """``count`` requests with addresses and phone numbers of customers."""
    return _requests(R(seed), count, private=True)


def _requests(rng: R, count: int, private: bool) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield request(rng, TOOLS[number % len(TOOLS)], private, long=number % 40 == 39)


def request(rng: R, tool: Tool, private: bool, long: bool = False) -> dict[str, Any]:
    """One call of ``tool``; a ``long`` one carries 20 to 100 KB of earlier results."""
    writer, reader = Writer(rng, private), Writer(rng, private=True)
    message = writer.fill(rng.choice(texts()["user"][tool.topic if rng.random() < 0.7 else "foreign"]))
    return {
        "plannerContext": {
            "userMessage": message,
            "thought": f"This action needs to be done to answer the request: {tool.description}",
            "chatHistory": list(_history(writer, message)),
            "previousToolsOutputs": [_earlier(reader, long) for _ in range(rng.randint(1 if long else 0, 3))],
        },
        "toolDefinition": _definition(writer, tool),
        "inputValues": _arguments(writer, tool),
        "conversationMetadata": _metadata(writer),
    }


def _history(writer: Writer, message: str) -> Iterator[dict[str, Any]]:
    turns = [("user", message), ("assistant", "Hello, I'm your service agent. How can I help?")]
    for _ in range(writer.rng.randint(0, 3)):
        kind = writer.rng.choice(tuple(texts()["user"]))
        turns.insert(1, ("user", writer.fill(writer.rng.choice(texts()["user"][kind]))))
        turns.insert(1, ("assistant", writer.fill(f"I found this:\n{writer.text()}")))
    for role, content in turns:
        yield {"id": _guid(writer), "role": role, "content": content, "timestamp": _stamp(writer)}


def _earlier(reader: Writer, long: bool) -> dict[str, Any]:
    """An earlier tool's output: a text, a record, or many of both."""
    size = reader.rng.randint(20_000, 100_000) if long else reader.rng.choice((300, 300, 3_000))
    parts: list[str] = []
    while sum(map(len, parts)) < size:
        parts.append(reader.fill(reader.text() if reader.rng.random() < 0.5 else reader.record()))
    value = "\n\n".join(parts)[:100_000]
    output = {"name": reader.rng.choice(("response", "body", "result", "value")), "type": "String", "value": value}
    return {
        "toolId": f"cra65_{reader.rng.choice(('crm', 'helpdesk', 'shop'))}.action.Get-{reader.rng.randint(1, 99)}",
        "toolName": "Get-Items",
        "outputs": [output] if reader.rng.random() < 0.7 else output,
        "timestamp": _stamp(reader),
    }


def _definition(writer: Writer, tool: Tool) -> dict[str, Any]:
    def parameter(name: str) -> dict[str, Any]:
        return {"name": name, "description": f"The {name.replace('_', ' ')}.", "type": {"$kind": "String"}}

    return {
        "id": f"cra65_agent{writer.rng.randint(1, 9)}.action.{tool.name}-{tool.name}",
        "type": "ToolDefinition",
        "name": tool.name,
        "description": tool.description,
        "inputParameters": [parameter(name) for name in tool.arguments],
        "outputParameters": [parameter("status"), parameter("result")],
    }


def _arguments(writer: Writer, tool: Tool) -> dict[str, Any]:
    values: dict[str, Any] = {name: writer.fill(value) for name, value in tool.arguments.items()}
    if writer.rng.random() < 0.3:
        values["options"] = {"top": writer.rng.randint(1, 999), "ids": [_guid(writer), writer.fill("[[b62:18]]")], "silent": False}  # fmt: skip
    if writer.private and writer.rng.random() < 0.5:
        values["contact"] = {"name": writer.rng.choice(PEOPLE), "email": _mail(writer), "phone": _phone(writer)}
    return values


def _metadata(writer: Writer) -> dict[str, Any]:
    agent = {"id": _guid(writer), "tenantId": _guid(writer), "environmentId": f"Default-{_guid(writer)}", "name": "service", "version": None, "isPublished": True}  # fmt: skip
    user = {"id": _guid(writer), "tenantId": _guid(writer)}
    names = ("conversationId", "messageId", "planId", "planStepId")
    return {"agent": agent, "user": user, "channelId": "msteams", **{name: _guid(writer) for name in names}}
