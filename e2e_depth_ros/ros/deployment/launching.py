"""What the launch files check before anything is started.

launch ends with the first error, and leaves behind what it started before. So all that can fail comes first.
Nothing heavy is imported here, and launch itself not at all: `ros2 launch` may run in another environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.messages.refusal import one_line

_WORDS: Final = {"true": True, "1": True, "false": False, "0": False}
_LOG_LEVELS: Final = ("debug", "info", "warn", "error", "fatal")
_NAME: Final = re.compile("[A-Za-z_][A-Za-z0-9_]*")
_LAST_DOMAIN: Final = 101  # of those whose ports Linux gives to nobody else
_TRANSPORTS: Final = ("raw", "compressed")


class LaunchArguments:
    """The arguments of a launch file, read as what they are to be."""

    def __init__(self, values: Mapping[str, str]) -> None:
        """Take the arguments.

        Args:
            values: Text by name; empty where an argument is not given.
        """
        self._values = values

    def text(self, name: str) -> str:
        """Return an argument as it is."""
        return self._values[name]

    def is_true(self, name: str) -> bool:
        """Read true or false; launch's own words, so that every launch file means the same.

        Raises:
            InvalidInputError: It is another word. To take it for false would, say, leave masks out unasked.
        """
        word = self._values[name].strip().lower()
        if word not in _WORDS:
            raise self._refusal(name, f"expected one of {', '.join(_WORDS)}")
        return _WORDS[word]

    def one_of(self, name: str, choices: Sequence[str]) -> str:
        """Read one of several words, in any case.

        Raises:
            InvalidInputError: It is another.
        """
        word = self._values[name].strip().lower()
        if word not in choices:
            raise self._refusal(name, f"expected one of {', '.join(choices)}")
        return word

    def node_name(self, name: str) -> str:
        """Read the name of a node.

        Raises:
            InvalidInputError: ROS allows none such.
        """
        if not _NAME.fullmatch(self._values[name]):
            raise self._refusal(name, "expected letters, digits and _, not beginning with a digit")
        return self._values[name]

    def namespace(self, name: str) -> str:
        """Read a namespace: names between slashes, or nothing.

        Raises:
            InvalidInputError: ROS allows none such.
        """
        text = self._values[name]
        if text.strip("/") and not all(_NAME.fullmatch(part) for part in text.removeprefix("/").split("/")):
            raise self._refusal(name, "expected names between slashes, say /front/camera")
        return text

    def file(self, name: str) -> str:
        """Read the path of a file.

        Raises:
            InvalidInputError: There is none. launch would go on without it.
        """
        path = Path(self._values[name]).expanduser()
        if not path.is_file():
            raise self._refusal(name, "there is no such file")
        return str(path)

    def number(self, name: str, least: float) -> float:
        """Read a number.

        Raises:
            InvalidInputError: It is none, or less than `least`.
        """
        try:
            number = float(self._values[name])
        except ValueError:
            number = float("nan")
        if not least <= number < float("inf"):
            raise self._refusal(name, f"expected a number of at least {least:g}")
        return number

    def domain(self, name: str) -> int:
        """Read a ROS domain.

        Raises:
            InvalidInputError: There is no such domain.
        """
        text = self._values[name].strip()
        if not text.isdecimal() or int(text) > _LAST_DOMAIN:
            raise self._refusal(name, f"expected a number from 0 to {_LAST_DOMAIN}")
        return int(text)

    def node_parameters(self) -> dict[str, Any]:
        """Return what is given of the parameters that every node here has; its file says the rest.

        Raises:
            InvalidInputError: One has a value that it can't have.
        """
        given: dict[str, Any] = {}
        if self._values["device"]:
            given["device"] = self._values["device"]
        if self._values["image_transport"]:
            given["image_transport"] = self.one_of("image_transport", _TRANSPORTS)
        if self._values["use_sim_time"]:
            given["use_sim_time"] = self.is_true("use_sim_time")
        return given

    def ros_arguments(self, node: str) -> list[str]:
        """Return how much a node logs, and its SROS2 enclave if it has one.

        Args:
            node: By which its enclave is called.

        Raises:
            InvalidInputError: There is no such level, or the enclave can't be one.
        """
        arguments = ["--log-level", self.one_of("log_level", _LOG_LEVELS)]
        enclave = self.namespace("enclave").strip("/")
        return [*arguments, "--enclave", f"/{enclave}/{node}"] if enclave else arguments

    def _refusal(self, name: str, expected: str) -> InvalidInputError:
        return InvalidInputError(f"{name}:={one_line(self._values[name], 80)}: {expected}")


def camera_namespaces(cameras: str, namespace: str) -> list[str]:
    """Give each camera a namespace.

    Args:
        cameras: Their names, with spaces or commas between.
        namespace: Of all of them; may be empty.

    Raises:
        InvalidInputError: There is no camera, one comes twice, or a name can't be one.
    """
    names = cameras.replace(",", " ").split()
    bad = [name for name in names if not _NAME.fullmatch(name)]
    if bad or not names or len(set(names)) < len(names):
        raise InvalidInputError(
            f"cameras:={one_line(cameras, 80)}: expected different names, of letters, digits and _,"
            " with spaces between"
        )
    parent = LaunchArguments({"namespace": namespace}).namespace("namespace").rstrip("/")
    return [f"{parent}/{name}" if parent or namespace else name for name in names]


def require_model(parameter_file: str, given: str) -> None:
    """Make sure that the mask node is given a checkpoint: it has none of its own.

    Args:
        parameter_file: Of the mask node.
        given: The argument mask_model.

    Raises:
        InvalidInputError: Neither names one, or the file is none of parameters.
    """
    if not given and not any(_models_in(parameter_file)):
        raise InvalidInputError(
            "mask:=true needs a checkpoint that paints by instruction: give mask_model:=FOLDER (`e2e-depth"
            f" checkpoint convert` makes one), or model in {parameter_file}"
        )


def _models_in(parameter_file: str) -> list[str]:
    """Return the model of each node, whatever its name, that a parameter file speaks of."""
    from e2e_depth_ros.core.yaml_file import load_yaml  # noqa: PLC0415 - PyYAML, only where it is needed

    try:
        ahead = [load_yaml(Path(parameter_file))]
    except InvalidInputError as error:
        raise InvalidInputError(f"{parameter_file} is no file of parameters: {error}") from error
    models = []
    while ahead:
        table = ahead.pop()
        if isinstance(table, dict):
            parameters = table.get("ros__parameters")
            if isinstance(parameters, dict):
                models.append(str(parameters.get("model") or ""))
            else:
                ahead += table.values()
    return models


def require_executable(package: str, executable: str, wanted_by: str) -> None:
    """Make sure that launch will find an executable.

    Args:
        package: Where it is.
        executable: Its name.
        wanted_by: What needs it, for the error: say "rviz:=true".

    Raises:
        InvalidInputError: It is not installed; says how to get it.
    """
    from ament_index_python.packages import get_package_prefix  # noqa: PLC0415

    try:
        path = Path(get_package_prefix(package), "lib", package, executable)
    except LookupError:
        debian = f"ros-{os.environ.get('ROS_DISTRO') or 'DISTRO'}-{package.replace('_', '-')}"
        raise InvalidInputError(
            f"{wanted_by} needs the package {package}, which is not installed: sudo apt install {debian}"
        ) from None
    if not os.access(path, os.X_OK):
        raise InvalidInputError(f"{wanted_by} needs {executable}, expected at {path}")
