"""The floor: a bare ASGI application under granian with the service's options. It reads the whole body and answers.

``python -m bench.floor PORT WORKERS`` serves it.
"""

import sys
from typing import Any

from sentra.calls import JSON, Receive, Reply, Scope, Send
from sentra.config import Settings
from sentra.server import make_server

REPLY = Reply(200, JSON, b'{"blockAction":false}')
HEADERS = REPLY.headers


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Read until there is no more, then answer a constant of the size of an allowed request's answer."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    parts = []
    while True:
        received = await receive()
        parts.append(received.get("body", b""))
        if not received.get("more_body", False):
            break
    b"".join(parts)
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": REPLY.body})


def create() -> Any:
    """What granian calls in each worker."""
    return application


def main(port: int, workers: int) -> None:
    """Serve until SIGTERM."""
    make_server(Settings(host="127.0.0.1", port=port, workers=workers), "bench.floor:create").serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
