"""Second looks at columns of tables: which header names a secret, and which cell under it holds one."""

import pytest

from sentra.confirm import Hit, parse

VALUE = "Kq7" + "wZ2rT9x"


def rows(table: str) -> Hit:
    """The rows of ``table``, whose first line is the header."""
    buffer = table.encode()
    return Hit(buffer, buffer.index(b"\n") + 1, len(buffer), 0, len(buffer))


def holds(table: str, check: str = "password_value") -> bool:
    return parse(f"column:{check}")(rows(table))


@pytest.mark.parametrize(
    "table",
    [
        f"host,user,password\ndb1,app,{VALUE}",
        f"host;Passwort;note\ndb1;{VALUE};old",
        f"user\tdb password\nann\t{VALUE}",
        f"| user | **password** |\n|---|---|\n| ann | `{VALUE}` |",
        f'"host","contraseña"\n"db1","{VALUE}"\n',
        f"host,pwd\ndb1,none\ndb2,-\ndb3,{VALUE}",
        f"password,host\r\n{VALUE},db1\r\n",
    ],
)
def test_a_cell_under_the_name_of_a_secret_is_found(table: str) -> None:
    assert holds(table)


@pytest.mark.parametrize(
    "table",
    [
        f"host,user,note\ndb1,app,{VALUE}",
        f"host,password\n{VALUE},none",
        f"password\n{VALUE}",
        f'"password",\n"{VALUE}",',
        f"password_hash,user\n{VALUE},ann",
        f"host,password\n{VALUE}",
        f"unique within one document, but pass\nthe value, {VALUE}",
        f"this analysis, a second pass.\nfirst, {VALUE}",
        f"17336,40622,password\n1,2,{VALUE}",
        f"f(x), password = y\n1,{VALUE}",
    ],
)
def test_another_column_or_no_table_is_left_alone(table: str) -> None:
    assert not holds(table)


def test_the_cells_are_seen_without_what_stands_around_them() -> None:
    assert not holds("user,password\nann,${DB_PASSWORD}\nbob,password\ncem,********")


def test_a_check_of_another_kind_can_be_asked_for() -> None:
    token = "b7d08051d4da" + "aeb67ae7b5e636fc69ca"
    assert holds(f"service;api key\nbilling;{token}", "secret_value")
    assert not holds("service;api key\nbilling;authentication-and-authorization", "secret_value")
