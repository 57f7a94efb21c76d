from typing import Any

def weigh(
    text: bytes, codes: bytes, table: Any, user: int, description: int, enough: int
) -> list[tuple[int, int, int]]: ...
