"""What the middleware is told by environment variables: their names and values have their home here.

It needs no ROS, and does nothing by being imported: launch files use it too.
"""

from __future__ import annotations

import os
import random
import socket
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

# Fast DDS 2.x (to Jazzy) reads the first, 3.x the second; Kilted warns where the first is set.
_PROFILE_VARIABLES: Final = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
# To Humble the first, from Iron on the second, which warns where the first is set.
_LOCAL_VARIABLES: Final = ({"ROS_LOCALHOST_ONLY": "1"}, {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"})
_IRON: Final = 4  # the first major version of its rclpy
_KILTED: Final = 9
_DISTRIBUTIONS: Final = {"humble": 3, "iron": 4, "jazzy": 7, "kilted": 9}
_PROFILE: Final = "fastdds_shm.xml"
_LOCAL_PROFILE: Final = "fastdds_shm_local.xml"
_OWN_TRANSPORTS: Final = "FASTDDS_BUILTIN_TRANSPORTS"  # a profile's transports would take their place
_ELSEWHERE: Final = ("ROS_DISCOVERY_SERVER", "ROS_STATIC_PEERS")  # reach other machines, whatever the range
_FIRST_PORT: Final = 7400
_PORTS_OF_A_DOMAIN: Final = 250
_DOMAINS: Final = range(1, 102)  # 0 is everybody's; above, Linux hands their ports out to whoever asks


def image_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Say which variables a process needs besides its own, so that images travel fast to others.

    Args:
        environment: Its own. What it says of a profile or of transports stays.

    Returns:
        The variables that are missing; none where the profile can't be found.
    """
    profile = _find_profile(_PROFILE)
    if profile is None or environment.get(_OWN_TRANSPORTS):
        return {}
    given = [environment[name] for name in _PROFILE_VARIABLES if environment.get(name)]
    return {} if given else dict.fromkeys(_profile_variables(), str(profile))


def local_environment() -> dict[str, str]:
    """Say which variables keep a process on this machine, and let images travel fast there.

    Returns:
        The variables. They are to replace what a robot's set-up says.
    """
    profile = _find_profile(_LOCAL_PROFILE)
    local = dict.fromkeys((*_PROFILE_VARIABLES, _OWN_TRANSPORTS, *_ELSEWHERE), "")
    if profile is not None:
        local |= dict.fromkeys(_profile_variables(), str(profile))
    return local | _LOCAL_VARIABLES[_rclpy_version() >= _IRON]


def unused_domain() -> int:
    """Choose a ROS domain in which nobody is on this machine, as far as open ports tell."""
    domains = random.sample(_DOMAINS, len(_DOMAINS))  # another demo chooses in the same moment
    return next(filter(_is_free, domains), domains[0])


def keep_apart(domain: int | None = None) -> int:
    """Keep this process, and those it starts, on this machine and out of everybody's way.

    Call it before rclpy starts.

    Args:
        domain: The ROS domain; by default one that nobody uses.

    Returns:
        The domain.
    """
    domain = unused_domain() if domain is None else domain
    os.environ.update(local_environment(), ROS_DOMAIN_ID=str(domain))
    return domain


def _profile_variables() -> tuple[str, ...]:
    return _PROFILE_VARIABLES[1:] if _rclpy_version() >= _KILTED else _PROFILE_VARIABLES[:1]


def _rclpy_version() -> int:
    """Return the major version of rclpy, which tells the distribution; of an unknown one a high number."""
    try:
        return int(metadata.version("rclpy").partition(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return _DISTRIBUTIONS.get(os.environ.get("ROS_DISTRO", ""), sys.maxsize)


def _find_profile(name: str) -> Path | None:
    """Find a profile in a source tree, a ROS workspace or a Python environment."""
    prefixes = [*os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    folders = [
        Path(__file__).parents[3] / "config",
        *(Path(prefix, "share", "e2e_depth_ros", "config") for prefix in prefixes if prefix),
    ]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def _is_free(domain: int) -> bool:
    """Whether every port of a domain can be had.

    By the kernel's own word: its list of open ports (proc(5), net/udp) lacks some while others close.
    """
    first = _FIRST_PORT + _PORTS_OF_A_DOMAIN * domain
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    # From the last one down: so the first, which all participants need, is asked for only where nobody is.
    for port in reversed(range(first, first + _PORTS_OF_A_DOMAIN)):
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                probe.bind(("", port))
            except OSError:
                return False
    return True
