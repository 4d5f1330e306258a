"""Sphinx's settings: `make docs` reads them, and so does rosdoc2, from a copy of this folder."""

import importlib.util
import os.path
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

project = "e2e_depth_ros"
author = "e2e_depth_ros maintainers"
html_title = project
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]

autoclass_content = "both"  # arguments are described by __init__ where it does something
autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_inherit_docstrings = False
# Where a robot's documentation is built, few of them are installed.
autodoc_mock_imports = [
    name
    for name in ("cv2", "diffusers", "numpy", "safetensors", "threadpoolctl", "torch", "yaml")
    if importlib.util.find_spec(name) is None
]
default_role = "py:obj"  # names in single backticks; what is no object of these pages stays a name
myst_heading_anchors = 3
napoleon_custom_sections = ["Convention"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # else fields that autodoc finds too are described twice

OVERVIEWS = {"overview": "README.md", "contributing": "CONTRIBUTING.md"}
"""Pages that show a file of the repository's root."""


def setup(app: Any) -> None:
    """Let pages be read as the site needs them."""
    app.connect("source-read", _read_for_the_site)


def _read_for_the_site(app: Any, page: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(page))
    if path.suffix != ".md":
        return
    root, text, folder = path.parent.parent, source[0], path.parent.name
    shown = OVERVIEWS.get(path.stem)
    if shown is not None:
        text, folder = (root / shown).read_text(encoding="utf-8"), ""
    source[0] = _with_links_of_the_site(text, folder, path.parent.name, _repository(root))


def _with_links_of_the_site(text: str, folder: str, docs: str, repository: str) -> str:
    """Point links at pages of the site; what isn't on it is in the repository.

    Args:
        text: Markdown.
        folder: Where the text lies, relative to the repository's root: its links start there.
        docs: The folder of the site's pages.
        repository: Its address.
    """
    pages = {name: f"{docs}/{page}.md" for page, name in OVERVIEWS.items()}

    def pointed(link: re.Match[str]) -> str:
        target = os.path.normpath(Path(folder, link["path"]))
        target = pages.get(target, target)
        inside = target.startswith(f"{docs}/")
        target = target.removeprefix(f"{docs}/") if inside else f"{repository}/blob/main/{target}"
        return f"]({target}{link['rest']})"

    relative = re.compile(r"\]\((?![a-z]+:)(?P<path>[^)\s#]+)(?P<rest>[^)]*)\)")
    parts = re.split(r"(^```.*?^```)", text, flags=re.MULTILINE | re.DOTALL)  # every second one is code
    return "".join(part if number % 2 else relative.sub(pointed, part) for number, part in enumerate(parts))


def _repository(root: Path) -> str:
    """Return the address that package.xml gives."""
    return ET.parse(root / "package.xml").findtext("url") or ""  # noqa: S314 - our own file
