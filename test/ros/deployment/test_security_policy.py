"""The SROS2 policy allows what the nodes do, and nothing else.

Fast DDS from PyPI has no security, so nothing can be enforced here.
"""

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from e2e_depth_ros.ros.deployment.security_policy import main

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "config" / "sros2" / "policy.xml"
# What only some of the nodes' settings, or some distributions, have.
OPTIONAL = {"/tf", "/tf_static", "~/get_type_description"}


def rules(text, node):
    """What a policy allows a node: full names by (kind, verb)."""
    profile = ET.fromstring(text).find(f".//enclave[@path='/e2e_depth_ros/{node}']/profiles/profile")  # noqa: S314
    namespace = profile.get("ns").rstrip("/")
    own = f"{namespace}/{profile.get('node')}"

    def full(name):
        return (
            name if name.startswith("/") else name.replace("~", own) if "~" in name else f"{namespace}/{name}"
        )

    found = {}
    for rule in profile:
        ((verb, value),) = rule.attrib.items()
        assert value == "ALLOW"
        found[rule.tag, verb] = {full(entry.text) for entry in rule}
    return found


def written(capsys, *arguments):
    assert main(arguments) == 0
    return capsys.readouterr().out


def test_shipped_policy_is_that_of_the_declarations(capsys):
    """Else replace it by the output of `python -m e2e_depth_ros.ros.deployment.security_policy`."""
    assert SHIPPED.read_text(encoding="utf-8") == written(capsys)


def test_no_rule_has_a_wildcard():
    for node in ("depth", "mask"):
        for names in rules(SHIPPED.read_text(encoding="utf-8"), node).values():
            assert not [name for name in names if set(name) & set("*?[")]


def test_policy_follows_namespace_names_and_remaps(capsys):
    arguments = [
        "--namespace",
        "/front",
        "--name",
        "eye",
        "-r",
        "image_raw:=/cam/image",
        "-r",
        "points:=cloud",
    ]
    depth = rules(written(capsys, *arguments), "depth")
    heard, sent = depth["topics", "subscribe"], depth["topics", "publish"]
    assert {"/cam/image", "/cam/image/compressed", "/front/camera_info", "/clock"} <= heard
    assert {"/front/cloud", "/front/depth/image_rect", "/diagnostics", "/front/eye/transition_event"} <= sent
    assert "/front/points" not in sent
    assert "/front/eye/reset_alignment" in depth["services", "reply"]
    assert "/cam/image" in rules(written(capsys, *arguments), "mask")["topics", "subscribe"]
    compressed = rules(written(capsys, "-r", "image_raw:=/cam/compressed"), "depth")["topics", "subscribe"]
    assert "/cam/compressed/compressed" not in compressed


@pytest.mark.parametrize("bad", [["--namespace", "a-b"], ["--name", "1a"], ["-r", "image_raw"]], ids=str)
def test_names_that_cannot_be_are_refused(bad, capsys):
    assert main(bad) == 2
    assert "expected" in capsys.readouterr().err


def does(context, kind, **parameters):
    """What an active node does: full names by (kind, verb)."""
    from rclpy.lifecycle import TransitionCallbackReturn
    from rclpy.parameter import Parameter

    overrides = [Parameter(name, value=value) for name, value in parameters.items()]
    node = kind(context=context, parameter_overrides=overrides)
    try:
        for trigger in (node.trigger_configure, node.trigger_activate):
            assert trigger() == TransitionCallbackReturn.SUCCESS
        name = node.get_name(), node.get_namespace()
        ways = {
            ("topics", "publish"): node.get_publisher_names_and_types_by_node,
            ("topics", "subscribe"): node.get_subscriber_names_and_types_by_node,
            ("services", "reply"): node.get_service_names_and_types_by_node,
        }
        assert node.get_client_names_and_types_by_node(*name) == [], "a client needs a rule too"
        return {way: {topic for topic, _ in names(*name)} for way, names in ways.items()}
    finally:
        node.destroy_node()


def assert_policy_is_what_is_done(node, done):
    allowed = rules(SHIPPED.read_text(encoding="utf-8"), node)
    for way, names in allowed.items():
        used = set().union(*(one[way] for one in done))
        assert used <= names, "the policy would forbid it"
        assert names - used <= {name.replace("~", f"/{node}") for name in OPTIONAL}, "nothing needs it"


def test_policy_is_what_the_depth_node_does(context, model_folder):
    from e2e_depth_ros.ros.nodes.depth_node import DepthNode

    model = str(model_folder)
    done = [
        does(context, DepthNode, model=model, remove_masked_points=True, use_sim_time=True),
        does(context, DepthNode, model=model, image_transport="compressed"),
        *(
            does(context, DepthNode, model=model, sparse_depth_transport=transport)
            for transport in ("compressed", "compressedDepth")
        ),
    ]
    assert_policy_is_what_is_done("depth", done)


def test_policy_is_what_the_mask_node_does(context, painter_folder):
    from e2e_depth_ros.ros.nodes.mask_node import MaskNode

    common = {"model": str(painter_folder), "processing_resolution": 64, "niceness": 0}
    done = [
        does(context, MaskNode, **common, use_sim_time=True),
        does(context, MaskNode, **common, image_transport="compressed"),
    ]
    assert_policy_is_what_is_done("mask", done)
