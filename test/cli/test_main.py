import subprocess
import sys
from types import SimpleNamespace

import pytest

from e2e_depth_ros import __version__
from e2e_depth_ros.cli import main as cli
from e2e_depth_ros.core.errors import CheckpointError


@pytest.fixture
def command(monkeypatch):
    """Replace `checkpoint` by a command whose `run` is given."""

    def install(run):
        def add_parser(subparsers):
            subparsers.add_parser("checkpoint")

        fake = SimpleNamespace(add_parser=add_parser, run=run)
        monkeypatch.setattr(cli, "SUBCOMMANDS", ("checkpoint",))
        monkeypatch.setattr(cli, "import_module", {"e2e_depth_ros.cli.checkpoint": fake}.__getitem__)

    return install


def test_exit_code_of_the_command_is_the_exit_code(command):
    command(lambda _args: 1)
    assert cli.main(["checkpoint"]) == 1


def test_wrong_input_is_one_line_and_code_2(command, capsys):
    def run(_args):
        raise CheckpointError("expected a, got b")

    command(run)
    assert cli.main(["checkpoint"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "e2e-depth checkpoint: expected a, got b\n"
    assert captured.out == ""


def test_other_errors_are_bugs_and_keep_their_traceback(command):
    def run(_args):
        raise ZeroDivisionError

    command(run)
    with pytest.raises(ZeroDivisionError):
        cli.main(["checkpoint"])


def test_interrupt_is_code_130(command, capsys):
    def run(_args):
        raise KeyboardInterrupt

    command(run)
    assert cli.main(["checkpoint"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_unknown_command_is_code_2(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["levitate"])
    assert ended.value.code == 2
    assert "levitate" in capsys.readouterr().err


def test_every_command_explains_itself(capsys):
    for name in cli.SUBCOMMANDS:
        with pytest.raises(SystemExit) as ended:
            cli.main([name, "--help"])
        assert ended.value.code == 0
        assert f"e2e-depth {name}" in capsys.readouterr().out


def test_help_loads_neither_torch_nor_ros():
    code = (
        "import sys; from e2e_depth_ros.cli.main import build_parser; build_parser().format_help();"
        "print([name for name in ('torch', 'diffusers', 'rclpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_version(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert __version__ in capsys.readouterr().out
