"""Write what follows from the declarations of parameters and outputs: files for users, tables for the docs.

python -m e2e_depth_ros.ros.deployment.declaration_docs depth yaml > config/depth.yaml
python -m e2e_depth_ros.ros.deployment.declaration_docs depth markdown    # into docs/parameters.md
python -m e2e_depth_ros.ros.deployment.declaration_docs depth brief    # into README.md
python -m e2e_depth_ros.ros.deployment.declaration_docs depth outputs    # rows of the topics in README.md
python -m e2e_depth_ros.ros.deployment.declaration_docs mask yaml > config/mask.yaml
python -m e2e_depth_ros.ros.deployment.declaration_docs mask markdown    # into docs/parameters.md
python -m e2e_depth_ros.ros.deployment.declaration_docs mask brief    # into docs/masks.md
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from e2e_depth_ros.ros.declarations.declaration import declarations_from_struct
from e2e_depth_ros.ros.declarations.depth_parameters import Parameters
from e2e_depth_ros.ros.declarations.mask_parameters import MaskParameters
from e2e_depth_ros.ros.outputs.depth_outputs import OUTPUTS

STRUCTS: Final[dict[str, type]] = {"depth": Parameters, "mask": MaskParameters}
"""The parameters of each node."""

FIRST_TO_KNOW: Final[dict[str, tuple[str, ...]]] = {
    "depth": (
        "model",
        "device",
        "processing_resolution",
        "image_transport",
        "rectify",
        "sparse_extrinsics",
        "correction",
        "fresh_duration",
        "camera_height",
        "max_depth",
    ),
    "mask": ("model", "object", "color", "period"),
}
"""The parameters that the brief tables show."""


def parameters_yaml(node: str) -> str:
    """Write a node's parameter file: every parameter with its default, commented."""
    lines = [
        f"# Every parameter of {node}_node with its default. Generated:",
        f"# python -m e2e_depth_ros.ros.deployment.declaration_docs {node} yaml > config/{node}.yaml",
        "/**:",
        "  ros__parameters:",
    ]
    for declaration in declarations_from_struct(STRUCTS[node]).values():
        bounds = f" [{declaration.bounds}]" if declaration.bounds else ""
        lines += [
            "",
            *_wrapped(f"{declaration.description}{bounds}", 100, "    # "),
            f"    # Changes: {declaration.changes.value}.",
            f"    {declaration.name}: {_yaml_value(declaration.default)}",
        ]
    return "\n".join(lines) + "\n"


def parameters_markdown(node: str) -> str:
    """Write the table of all parameters of a node."""
    lines = ["| parameter | type | default | allowed | changes | meaning |", "|---|---|---|---|---|---|"]
    for declaration in declarations_from_struct(STRUCTS[node]).values():
        cells = (
            f"`{declaration.name}`",
            declaration.type_name,
            f"`{_yaml_value(declaration.default)}`",
            declaration.bounds,
            declaration.changes.value,
            declaration.description,
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def brief_markdown(node: str) -> str:
    """Write the table of the parameters that one should know first."""
    declarations = declarations_from_struct(STRUCTS[node])
    lines = ["| parameter | default | meaning |", "|---|---|---|"]
    for declaration in map(declarations.__getitem__, FIRST_TO_KNOW[node]):
        default = _yaml_value(declaration.default)
        lines.append(f"| `{declaration.name}` | `{default}` | {declaration.description} |")
    return "\n".join(lines) + "\n"


def outputs_markdown(node: str) -> str:
    """Write the rows of a node's outputs for the documentation's table of topics."""
    return "".join(f"{output.row}\n" for output in OUTPUTS[node])


def _yaml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def _wrapped(text: str, width: int, prefix: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if lines[-1] and len(prefix) + len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return [prefix + line for line in lines]


if __name__ == "__main__":
    writers = {
        "yaml": parameters_yaml,
        "markdown": parameters_markdown,
        "brief": brief_markdown,
        "outputs": outputs_markdown,
    }
    _parser = argparse.ArgumentParser(description=__doc__)
    _parser.add_argument("node", choices=STRUCTS)
    _parser.add_argument("kind", choices=writers)
    _arguments = _parser.parse_args()
    sys.stdout.write(writers[_arguments.kind](_arguments.node))
