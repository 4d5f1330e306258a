import re
from pathlib import Path

from e2e_depth_ros.evaluation.protocols.registry import PROTOCOLS

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text(encoding="utf-8")


def rows(heading):
    table = PAGE.partition(f"| {heading} |")[2].partition("\n\n")[0]
    return {cells[1].strip(" `"): cells[2:] for cells in (row.split("|") for row in table.splitlines()[2:])}


def test_the_page_has_every_protocol_as_it_is():
    table = rows("protocol | frames")
    assert list(table) == list(PROTOCOLS)
    for name, protocol in PROTOCOLS.items():
        frames, size = (cell.strip() for cell in table[name][:2])
        assert int(frames) == protocol.frame_count
        edge = protocol.processing_resolution
        assert size.startswith(f"longer edge {edge}" if edge else "native size")


def test_layouts_of_the_page_are_found():
    for name, (image, measured, *_) in rows("protocol | image").items():
        layout = PROTOCOLS[name].layout
        path = image.strip(" `")
        match = re.search(layout.image, path)
        assert match, path
        for template in layout.companions:
            companion = match.expand(template)
            assert companion in measured or companion.rpartition("/")[2] in measured, companion
