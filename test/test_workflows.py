"""The workflows run elsewhere; what can be checked of them here is."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
SCRIPTS = sorted((ROOT / ".ci").iterdir())
README = (ROOT / "README.md").read_text(encoding="utf-8")
LINES = (ROOT / ".ci" / "workspace").read_text(encoding="utf-8").splitlines()


def load(path):
    # Words alone: to the safe loader `on` would be True.
    return yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506


def all_jobs():
    return {f"{path.stem}/{name}": job for path in WORKFLOWS for name, job in load(path)["jobs"].items()}


JOBS = all_jobs()
COMMANDS = {
    f"{name}/{place}": step["run"]
    for name, job in JOBS.items()
    for place, step in enumerate(job["steps"])
    if "run" in step
}


def test_there_are_workflows():
    assert {"ci/lint", "ci/docs", "ci/package", "ci/python", "ci/ros", "ci/sros2"} <= JOBS.keys()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_they_may_only_read_and_end_in_time(path):
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow["on"]
    assert set(workflow["concurrency"]) == {"group", "cancel-in-progress"}
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < int(job["timeout-minutes"]) <= 120


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_say_which_version(path):
    text = path.read_text(encoding="utf-8")
    uses = re.findall(r"uses: (.+)", text)
    assert uses
    pins = dict(re.fullmatch(r"([\w./-]+@[0-9a-f]{40}) # (v\d+\.\d+\.\d+)", line).groups() for line in uses)
    assert len({pin.partition("@")[0] for pin in pins}) == len(pins)  # one version of each


@pytest.mark.parametrize("name", JOBS)
def test_checkouts_keep_no_credentials(name):
    checkouts = [step for step in JOBS[name]["steps"] if "actions/checkout@" in step.get("uses", "")]
    assert [step["with"]["persist-credentials"] for step in checkouts] == ["false"]


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_are_there(command):
    assert "${{" not in command  # strangers' words would become part of the command
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    made = re.findall(r"^\s*make(?: --directory \S+)* ([a-z]+)", command, re.MULTILINE)
    assert set(made) <= targets
    scripts = re.findall(r"\S*(\.ci/\w+)", command)
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)
    assert made or scripts or not command.startswith(("make", "workspace"))
    subprocess.run(["bash", "-n"], input=command, text=True, check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_shell(script):
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert re.search(r"^set -e\w*o pipefail$", script.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_python_and_distribution_that_is_named_is_run():
    classifiers = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    pythons = re.findall(r"Python :: (3\.\d+)$", classifiers, re.MULTILINE)
    assert JOBS["ci/python"]["strategy"]["matrix"]["python"] == pythons
    matrix = JOBS["ci/ros"]["strategy"]["matrix"]
    assert matrix["distribution"] == ["humble", "jazzy", "kilted", "rolling"]
    runners = {*matrix["runner"], *(row["runner"] for row in matrix["include"])}
    assert runners == {"ubuntu-24.04", "ubuntu-24.04-arm"}


def test_robots_are_built_by_the_lines_of_the_readme():
    block = README.partition("**In a ROS workspace**")[2].partition("```sh\n")[2].partition("```")[0]
    commands = [line for line in block.splitlines() if not line.startswith(("#", "ros2 launch"))]
    assert len(commands) == 4
    assert [command for command in commands if command.removeprefix("cd ~/ros2_ws && ") not in LINES] == []
    for_cpu = re.search(r"# without a GPU.*?:  (pip install torch \S+ \S+)", block).group(1)
    assert for_cpu in LINES


def test_keys_are_made_by_the_lines_of_the_documentation():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    commands = re.findall(r"ros2 (?:security|pkg) .*", page.partition("```sh\n")[2].partition("```")[0])
    script = (ROOT / ".ci" / "sros2").read_text(encoding="utf-8").replace('"', "")
    assert len(commands) == 4
    assert [command for command in commands if command not in script] == []
