"""Writes the SROS2 policy of the nodes: what each may publish, hear and answer, and nothing else.

python -m e2e_depth_ros.ros.deployment.security_policy --help
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.topics import MaskOutput
from e2e_depth_ros.ros.deployment.launching import LaunchArguments
from e2e_depth_ros.ros.outputs.depth_outputs import OUTPUTS

ENCLAVE: Final = "/e2e_depth_ros"
"""The enclave that holds those of the nodes."""

# Every node of ROS has these.
_ROS_PUBLISHES: Final = ("/rosout", "/parameter_events")
_ROS_HEARS: Final = ("/clock",)
_ROS_ANSWERS: Final = (
    "~/describe_parameters",
    "~/get_parameter_types",
    "~/get_parameters",
    "~/list_parameters",
    "~/set_parameters",
    "~/set_parameters_atomically",
    "~/get_type_description",
)
# And every lifecycle node these.
_LIFECYCLE_PUBLISHES: Final = ("~/transition_event",)
_LIFECYCLE_ANSWERS: Final = (
    "~/change_state",
    "~/get_state",
    "~/get_available_states",
    "~/get_available_transitions",
    "~/get_transition_graph",
)
_IMAGE_PUBLISHES: Final = ("/diagnostics",)
_IMAGE_HEARS: Final = ("image_raw", "image_raw/compressed")
_TRANSPORTS: Final = ("compressed", "compressedDepth")
_IMAGE_ANSWERS: Final = ("~/set_enabled",)

HEARS: Final[Mapping[str, Sequence[str]]] = {
    "depth": (
        *("camera_info", "sparse_points", MaskOutput.MASK.value),
        *("sparse_depth", "sparse_depth/compressed", "sparse_depth/compressedDepth"),
        *("/tf", "/tf_static"),
    ),
    "mask": (),
}
"""What each node listens to besides images; some of it only if parameters ask for it."""
ANSWERS: Final[Mapping[str, Sequence[str]]] = {"depth": ("~/reset_alignment",), "mask": ()}
"""The services of each node's own."""


def policy(
    *, namespace: str = "/", names: Mapping[str, str] | None = None, remaps: Mapping[str, str] | None = None
) -> str:
    """Write the policy, as `ros2 security create_permission` takes it.

    Args:
        namespace: Of the nodes, with a leading slash.
        names: Those of the nodes "depth" and "mask", where they are others.
        remaps: Where topics are remapped: the other name by the usual one.

    Returns:
        XML (sros2's policy, version 0.2.0): an enclave for each node, in `ENCLAVE`.
    """
    root = ET.Element("policy", version="0.2.0")
    root.append(ET.Comment(" Made by python -m e2e_depth_ros.ros.deployment.security_policy "))
    enclaves = ET.SubElement(root, "enclaves")
    for node, outputs in OUTPUTS.items():
        enclave = ET.SubElement(enclaves, "enclave", path=f"{ENCLAVE}/{node}")
        profiles = ET.SubElement(enclave, "profiles")
        profile = ET.SubElement(profiles, "profile", ns=namespace, node=(names or {}).get(node, node))
        publishes = (
            *_ROS_PUBLISHES,
            *_LIFECYCLE_PUBLISHES,
            *_IMAGE_PUBLISHES,
            *(output.value for output in outputs),
        )
        hears = (*_ROS_HEARS, *_IMAGE_HEARS, *HEARS[node])
        answers = (*_ROS_ANSWERS, *_LIFECYCLE_ANSWERS, *_IMAGE_ANSWERS, *ANSWERS[node])
        _allow(profile, "topic", "publish", _remapped(publishes, remaps))
        _allow(profile, "topic", "subscribe", _remapped(hears, remaps))
        _allow(profile, "service", "reply", answers)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _allow(profile: ET.Element, kind: str, verb: str, names: Iterable[str]) -> None:
    rule = ET.SubElement(profile, f"{kind}s", {verb: "ALLOW"})
    for name in sorted(names):
        ET.SubElement(rule, kind).text = name


def _remapped(names: Sequence[str], remaps: Mapping[str, str] | None) -> set[str]:
    """Take remapped names for the usual ones; what a transport brings moves with the raw topic."""
    rules = dict(remaps or {})
    for raw, other in tuple(rules.items()):
        for name in names:
            transport = name.removeprefix(f"{raw}/")
            if transport in _TRANSPORTS and name not in rules:
                rules[name] = other if other.endswith(f"/{transport}") else f"{other}/{transport}"
    return {rules.get(name, name) for name in names}


def main(argv: Sequence[str] | None = None) -> int:
    """Write a policy to standard output.

    Args:
        argv: By default the command line's.

    Returns:
        The exit code: 2 for a name that can't be.
    """
    parser = argparse.ArgumentParser(description="Write the SROS2 policy of the nodes.")
    parser.add_argument("--namespace", default="/", help="of the nodes, with a leading slash")
    parser.add_argument("--name", default="depth", help="of the depth node")
    parser.add_argument("--mask-name", default="mask", help="of the mask node")
    parser.add_argument(
        "-r", "--remap", action="append", default=[], metavar="FROM:=TO", help="as the nodes are remapped"
    )
    args = parser.parse_args(argv)
    given = LaunchArguments(vars(args))
    try:
        remaps = dict(_rule(remap) for remap in args.remap)
        names = {"depth": given.node_name("name"), "mask": given.node_name("mask_name")}
        text = policy(namespace=f"/{given.namespace('namespace').strip('/')}", names=names, remaps=remaps)
    except InvalidInputError as error:
        sys.stderr.write(f"{parser.prog}: {error}\n")
        return 2
    sys.stdout.write(text)
    return 0


def _rule(remap: str) -> tuple[str, str]:
    usual, mark, other = remap.partition(":=")
    if not (usual and mark and other):
        raise InvalidInputError(f"--remap {remap}: expected FROM:=TO")
    return usual, other


if __name__ == "__main__":
    sys.exit(main())
