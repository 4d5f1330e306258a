import pytest

from e2e_depth_ros.evaluation.protocols import PROTOCOL_NAMES
from e2e_depth_ros.evaluation.protocols.published import ROWS, rows_of


@pytest.mark.parametrize(
    ("checkpoint", "steps", "ensemble", "method"),
    [
        ("GonzaloMG/marigold-e2e-ft-depth", 1, 1, "Marigold + E2E-FT"),
        ("marigold-e2e-ft-depth", 1, 1, "Marigold + E2E-FT"),  # a folder of that name
        ("GonzaloMG/stable-diffusion-e2e-ft-depth", 1, 1, "Stable Diffusion + E2E-FT"),
        ("prs-eth/marigold-depth-v1-0", 50, 10, "Marigold (50, 10)"),
        ("prs-eth/marigold-depth-v1-0", 50, 1, "Marigold (50, 1)"),
        ("prs-eth/marigold-depth-v1-0", 1, 1, "Marigold, trailing (1, 1)"),
        ("prs-eth/marigold-depth-lcm-v1-0", 4, 5, "Marigold LCM (4, 5)"),
        ("lemonaddie/Geowizard", 50, 10, "GeoWizard (50, 10)"),
        ("prs-eth/marigold-depth-v1-0", 10, 1, None),
        ("prs-eth/marigold-depth-v1-1", 1, 1, None),
        ("embedded", 1, 1, None),
    ],
)
def test_a_checkpoint_has_its_row(checkpoint, steps, ensemble, method):
    found = [row.method for row in rows_of("eth3d") if row.is_of(checkpoint, steps, ensemble)]
    assert found == ([] if method is None else [method])


def test_the_flawed_spacing_has_no_row():
    assert not any(row.is_of("prs-eth/marigold-depth-v1-0", 1, 1, "leading") for row in ROWS)
    assert any(row.is_of("prs-eth/marigold-depth-v1-0", 50, 1, "leading") for row in ROWS)


def test_each_protocol_has_the_papers_rows():
    counts = {name: len(rows_of(name)) for name in PROTOCOL_NAMES}
    assert counts == {name: 6 if "normals" in name else 10 for name in PROTOCOL_NAMES}
    e2e = {name: rows_of(name)[2 if "normals" in name else 5] for name in PROTOCOL_NAMES}
    assert {row.method for row in e2e.values()} == {"Marigold + E2E-FT"}
    assert e2e["diode"].scores["diode"] == (30.2, 77.9)
    assert e2e["sintel_normals"].scores["sintel_normals"] == (33.5, 21.5)
    for row in ROWS:
        assert all(0 < error < 40 and 10 < share < 97 for error, share in row.scores.values())
