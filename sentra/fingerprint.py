"""Keyed fingerprints: equal values are known again over records and days, without being told."""

import hashlib
import hmac

from sentra.config import Settings
from sentra.errors import ConfigError

MIN_KEY_BYTES = 16
DIGITS = 16


class Fingerprints:
    """HMAC-SHA256 under the operator's key, its first 16 hexadecimal digits; none without a key.

    Raises ``ConfigError`` when the key cannot be read or is short; no message holds it.
    """

    def __init__(self, settings: Settings):
        self._key = _key(settings)

    def of(self, value: str) -> str | None:
        """The fingerprint of ``value``; nothing without a key or for an empty value."""
        if self._key is None or not value:
            return None
        return hmac.new(self._key, value.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:DIGITS]


def _key(settings: Settings) -> bytes | None:
    key, path = settings.fingerprint_key, settings.fingerprint_key_file
    if key is not None and path is not None:
        raise ConfigError(["SENTRA_FINGERPRINT_KEY: is set together with SENTRA_FINGERPRINT_KEY_FILE; give one"])
    name, raw = "SENTRA_FINGERPRINT_KEY", key.encode("utf-8", "replace") if key is not None else None
    if path is not None:
        name = f"SENTRA_FINGERPRINT_KEY_FILE: {path}"
        try:
            raw = path.read_bytes().strip()
        except OSError as error:
            raise ConfigError([f"{name}: cannot be read: {error.strerror}"]) from None
    if raw is not None and len(raw) < MIN_KEY_BYTES:
        raise ConfigError([f"{name}: is {len(raw)} bytes long; expected at least {MIN_KEY_BYTES}"])
    return raw
