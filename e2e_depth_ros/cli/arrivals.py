"""What `e2e-depth benchmark --dds` tells of depth images that arrived."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Arrival:
    """A depth image that came: its stamp, and when it came, seconds of the system's clock."""

    stamp_s: float
    received_s: float


def summarise_arrivals(arrivals: Sequence[Arrival]) -> dict[str, Any]:
    """Condense what was received.

    Where images come faster than the node can follow, it publishes once in each period of its worker, so
    periods show in the arrivals. An image is at most two periods old when it goes out: it waited for its
    predecessor, and then it was its turn.

    Args:
        arrivals: In their order; at least three.

    Returns:
        `rate_hz`; `age_ms` and `period_ms`, each median, p95 and max; `older_than_two_periods`, how many
        were older than their predecessor's period and their own together; `images`.
    """
    received = np.array([arrival.received_s for arrival in arrivals])
    ages = received - np.array([arrival.stamp_s for arrival in arrivals])
    periods = np.diff(received)
    two_periods = periods[1:] + periods[:-1]

    def summary(seconds: Any) -> dict[str, float]:
        values = {
            "median": np.median(seconds),
            "p95": np.percentile(seconds, 95),
            "max": np.max(seconds),
        }
        return {name: round(1e3 * float(value), 1) for name, value in values.items()}

    return {
        "images": len(arrivals),
        "rate_hz": round(float((len(arrivals) - 1) / (received[-1] - received[0])), 2),
        "age_ms": summary(ages),
        "period_ms": summary(periods),
        "older_than_two_periods": int(np.count_nonzero(ages[2:] > two_periods)),
    }


def print_arrivals(console: Any, report: Mapping[str, Any]) -> None:
    """Print what `measure` found."""
    from rich.table import Table  # noqa: PLC0415

    table = Table(
        title="over DDS, camera at 30 Hz",
        caption="age on arrival and period of the worker: median and p95, ms; late: older than two periods;"
        " CPU: ms of the node's for each image",
    )
    for column in ("subscribed", "images/s", "age", "p95", "period", "p95", "late", "CPU"):
        table.add_column(column, justify="left" if column == "subscribed" else "right", no_wrap=True)
    cases = {name: case for name, case in report.items() if "node_cpu_ms" in case}
    for name, case in cases.items():
        ages, periods = case["age_ms"], case["period_ms"]
        times = (ages["median"], ages["p95"], periods["median"], periods["p95"])
        table.add_row(
            name,
            f"{case['rate_hz']:.1f}",
            *(f"{value:.1f}" for value in times),
            f"{case['older_than_two_periods']}/{case['images']}",
            f"{case['node_cpu_ms']:.1f}",
        )
    console.print(table)
    for name, case in cases.items():
        said = ", ".join(f"{key} {value:.1f}" for key, value in case["node"].items())
        console.print(f"{name}, the node itself: {said or 'no report in this time'}")
    if "with masks" in report:
        beside = report["with masks"]
        console.print(
            f"beside mask_node ({beside['masks']} masks): {beside['rate_hz']} depth images/s, "
            f"{beside['rate_lost']:.1%} fewer; it took {beside['mask_cpu_share']:.1%} of the CPU"
        )
