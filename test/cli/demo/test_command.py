import pytest

from e2e_depth_ros.cli.main import main


@pytest.mark.parametrize("option", ["--frames=0", "--rate=0", "--points=0"])
def test_impossible_settings_are_refused(option, tmp_path, capsys):
    assert main(["demo", "--output", str(tmp_path), option]) == 2
    assert "expected" in capsys.readouterr().err
