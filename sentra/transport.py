"""TLS and connection limits: checked before anything starts, then given to granian.

No forwarded header is read: nothing that Sentra decides or records depends on the address of the caller.
"""

import contextlib
import resource
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentra.config import Settings

SPARE_FILES = 256
_PKCS8 = "-----BEGIN PRIVATE KEY-----"


def tls_problems(settings: Settings) -> Iterator[str]:
    """What is wrong with the TLS settings, one message each."""
    names = {"SENTRA_TLS_CERT": settings.tls_cert, "SENTRA_TLS_KEY": settings.tls_key}
    given = [name for name, path in names.items() if path is not None]
    if not given and settings.tls_client_ca is not None:
        yield "SENTRA_TLS_CLIENT_CA: needs SENTRA_TLS_CERT and SENTRA_TLS_KEY too"
    if len(given) == 1:
        yield f"{given[0]}: needs {next(name for name in names if name not in given)} too"
    unreadable = [*_unreadable({**names, "SENTRA_TLS_CLIENT_CA": settings.tls_client_ca})]
    yield from unreadable
    if len(given) == 2 and not unreadable:
        yield from _pair_problems(settings.tls_cert, settings.tls_key)
    if settings.tls_client_ca is not None and not unreadable:
        yield from _authority_problems(settings.tls_client_ca)


def _unreadable(paths: dict[str, Path | None]) -> Iterator[str]:
    for name, path in paths.items():
        try:
            if path is not None:
                path.read_text("ascii")
        except OSError as error:
            yield f"{name}: {path}: cannot be read: {error.strerror}"
        except UnicodeDecodeError:
            yield f"{name}: {path}: is not a PEM file"


def _pair_problems(cert: Path | None, key: Path | None) -> Iterator[str]:
    if cert is None or key is None:
        return
    if _PKCS8 not in key.read_text("ascii"):
        yield (
            f"SENTRA_TLS_KEY: {key}: expected a PEM key that begins with {_PKCS8}; "
            "`openssl pkcs8 -topk8 -nocrypt` converts others"
        )
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key)
    except ssl.SSLError as error:
        why = "the key is not that of the certificate" if error.reason == "KEY_VALUES_MISMATCH" else "not a valid pair"
        yield f"SENTRA_TLS_CERT, SENTRA_TLS_KEY: {cert}, {key}: {why}: {error.reason or error}"


def _authority_problems(path: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with contextlib.suppress(ssl.SSLError):
        context.load_verify_locations(path)
    if not context.cert_store_stats()["x509_ca"]:
        yield f"SENTRA_TLS_CLIENT_CA: {path}: holds no certificate of an authority"


def tls_options(settings: Settings) -> dict[str, Any]:
    """Granian's options for TLS; nothing without a certificate."""
    if settings.tls_cert is None:
        return {}
    return {
        "ssl_cert": settings.tls_cert,
        "ssl_key": settings.tls_key,
        "ssl_protocol_min": f"tls{settings.tls_min_version}",
        "ssl_ca": settings.tls_client_ca,
        "ssl_client_verify": settings.tls_client_ca is not None,
    }


def connection_options(settings: Settings) -> dict[str, Any]:
    """Granian's limits on connections: how many a worker holds, how many more the kernel queues for it."""
    return {"backpressure": settings.max_connections, "backlog": 4096}


def raise_file_limit(settings: Settings) -> str | None:
    """Let this process and its workers open a file for each connection; a warning where the system forbids it."""
    wanted = settings.max_connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return None if most == wanted else f"SENTRA_MAX_CONNECTIONS: only {hard} files may be open (ulimit -n)"
