"""A small load: one captured-shape request at a constant rate, latencies from the intended send time.

    python examples/load.py [URL] [REQUESTS_PER_SECOND] [SECONDS]

For figures to rely on, use `python -m bench` instead.
"""

import asyncio
import sys
import time

import httpx

MESSAGE = {
    "plannerContext": {"userMessage": "Please send the agenda for Thursday to Ann."},
    "toolDefinition": {"id": "demo.action.Office365-SendEmail", "name": "Send-an-Email"},
    "inputValues": {"to": "ann@contoso.example", "subject": "Agenda", "body": "Attached."},
}


async def ask(client: httpx.AsyncClient, due: float, latencies: list[float]) -> None:
    """Send one request when it is due and note the milliseconds until its answer."""
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    response = await client.post("/analyze-tool-execution?api-version=2025-05-01", json=MESSAGE)
    response.raise_for_status()
    latencies.append((time.perf_counter() - due) * 1000)


async def run(url: str, rate: float, seconds: float) -> list[float]:
    """Milliseconds of every answer, ascending."""
    latencies: list[float] = []
    headers = {"Authorization": "Bearer demo"}
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=url, headers=headers, limits=limits, timeout=10) as client:
        await client.get("/livez")
        start = time.perf_counter() + 0.1
        async with asyncio.TaskGroup() as tasks:
            for number in range(int(rate * seconds)):
                tasks.create_task(ask(client, start + number / rate, latencies))
    return sorted(latencies)


def main() -> None:
    """Run the load and print percentiles."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    rate = float(sys.argv[2]) if len(sys.argv) > 2 else 100.0
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 5.0
    latencies = asyncio.run(run(url, rate, seconds))
    at = {
        name: latencies[min(len(latencies) - 1, int(len(latencies) * part))]
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1.0))
    }
    print(f"{len(latencies)} answers; " + ", ".join(f"{name} {value:.1f} ms" for name, value in at.items()))


if __name__ == "__main__":
    main()
