"""The speed of the service: one client's latency, and several clients' throughput, on a running service.

    python benchmarks/service.py [http://127.0.0.1:3000] [--orders 50] [--seconds 10] [--clients 4]

Each request forecasts one customer. Clients are processes of their own and share the machine with it.
"""

import argparse
import http.client
import json
import os
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlsplit

HEADERS = {"Content-Type": "application/json"}
FIRST = datetime(2024, 1, 1, tzinfo=UTC)


def history(orders: int) -> bytes:
    """Write a customer's history: an order line every six days."""
    lines = [
        {
            "ordered_at": (FIRST + timedelta(days=6 * number, hours=number % 12)).isoformat(),
            "order_id": str(number),
            "product_id": f"P{number % 9}",
            "quantity": 1 + number % 5,
            "unit_price": 4.25,
        }
        for number in range(orders)
    ]
    as_of = FIRST + timedelta(days=6 * orders)
    return json.dumps(
        {"as_of": as_of.isoformat(), "customer": {"customer_id": "A"}, "orders": lines}
    ).encode()


def latencies(address: str, orders: int, seconds: float) -> list[float]:
    """Ask one after the other over one connection; return how long each answer took."""
    connection = http.client.HTTPConnection(address)
    body = history(orders)
    taken = []
    end = time.perf_counter() + seconds
    while (start := time.perf_counter()) < end:
        connection.request("POST", "/v1/predict", body, HEADERS)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"the service answered {answer.status}")
        taken.append(time.perf_counter() - start)
    return taken


def line(name: str, taken: list[float], seconds: float) -> str:
    """Write a line of the table."""
    ordered = sorted(taken)
    marks = [ordered[int(share * (len(ordered) - 1))] * 1000 for share in (0.5, 0.99, 1.0)]
    return f"{name:>10} {len(taken) / seconds:>11.0f} " + " ".join(f"{mark:>8.2f}" for mark in marks)


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("url", nargs="?", default="http://127.0.0.1:3000")
    options.add_argument("--orders", type=int, default=50)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--clients", type=int, default=4)
    given = options.parse_args()
    ask = partial(latencies, urlsplit(given.url).netloc, given.orders)
    ask(1.0)
    load = os.getloadavg()[0]
    print(f"{given.orders} orders a request, {os.cpu_count()} processors, load {load:.1f} before")
    print(f"{'clients':>10} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'max ms':>8}")
    print(line("1", ask(given.seconds), given.seconds))
    with ProcessPoolExecutor(given.clients) as pool:
        several = pool.map(ask, [given.seconds] * given.clients)
        print(line(str(given.clients), [taken for each in several for taken in each], given.seconds))


if __name__ == "__main__":
    main()
