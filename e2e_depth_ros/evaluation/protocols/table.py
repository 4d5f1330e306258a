"""A protocol's report as a table, beside what is published."""

from __future__ import annotations

from rich import box
from rich.table import Table

from e2e_depth_ros.core.metrics import NormalErrors
from e2e_depth_ros.evaluation.protocols.evaluation import ProtocolReport
from e2e_depth_ros.evaluation.protocols.published import rows_of
from e2e_depth_ros.model.task import Task

# Of two lines, so that the table fits a terminal of 80 columns.
_DEPTH_HEADINGS = ("AbsRel\n%", "delta1\n%", "delta2\n%", "delta3\n%", "RMSE\nm", "log10\n", "SILog\n")
_NORMALS_HEADINGS = (
    "mean\ndeg",
    "median\ndeg",
    "RMSE\ndeg",
    *(f"<{limit:g}\n%" for limit in NormalErrors.LIMITS_DEG),
)
_PUBLISHED_COLUMNS = {Task.DEPTH: (0, 1), Task.NORMALS: (0, 5)}


def protocol_table(report: ProtocolReport) -> Table:
    """Return the table to print: the scores first, then the published ones, the checkpoint's own marked."""
    protocol = report.protocol
    headings = _DEPTH_HEADINGS if protocol.task is Task.DEPTH else _NORMALS_HEADINGS
    found = len(report.scores)
    of = "" if found == protocol.frame_count else f" (published scores are over {protocol.frame_count})"
    table = Table(
        title=f"{protocol.name}: {found} frames{of}", box=box.SIMPLE, padding=0, collapse_padding=True
    )
    table.add_column("method\n(steps, ensemble)", overflow="fold", min_width=26)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(report.name, *_cells(report), style="bold")
    table.add_section()
    for row in rows_of(protocol.name):
        cells = [""] * len(headings)
        for column, score in zip(_PUBLISHED_COLUMNS[protocol.task], row.scores[protocol.name], strict=True):
            cells[column] = f"{score:.1f}"
        own = row is report.published
        table.add_row(f"{row.method}{' *' if own else ''}", *cells, style="bold" if own else "dim")
    if report.published:
        table.caption = "* published of this checkpoint"
    return table


def _cells(report: ProtocolReport) -> list[str]:
    normals = report.normal_scores()
    if normals:
        angles = (normals.mean_deg, normals.median_deg, normals.rmse_deg)
        return [f"{angle:.2f}" for angle in angles] + [f"{100 * share:.2f}" for share in normals.within]
    means = report.depth_means()
    shares = [f"{100 * means[name]:.2f}" for name in ("abs_rel", "delta1", "delta2", "delta3")]
    return [*shares, f"{means['rmse_m']:.3f}", f"{means['log10']:.4f}", f"{means['silog']:.2f}"]
