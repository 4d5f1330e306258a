"""The site of the documentation has every page, modules that exist, and links that lead somewhere.

`make docs` builds it; what can be told without Sphinx is told here.
"""

import re
import runpy
from pathlib import Path

import pytest

import e2e_depth_ros

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
INDEX = (DOCS / "index.rst").read_text(encoding="utf-8")
CONF = runpy.run_path(str(DOCS / "conf.py"))
MODULES = [
    module
    for page in sorted(DOCS.glob("api/*.rst"))
    for module in re.findall(r"automodule:: (\S+)", page.read_text(encoding="utf-8"))
]


def test_every_page_is_in_the_index():
    listed = re.findall(r"^   ([\w/]+)$", INDEX, re.MULTILINE)
    pages = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.*")]
    pages = {page for page in pages if (DOCS / f"{page}.md").exists() or (DOCS / f"{page}.rst").exists()}
    assert sorted(listed) == sorted(pages - {"index"})


def test_modules_of_the_reference_exist():
    assert len(MODULES) > 50
    paths = [ROOT / module.replace(".", "/") for module in MODULES]
    assert [str(path) for path in paths if not path.with_suffix(".py").exists()] == []
    assert len(set(MODULES)) == len(MODULES)


def test_the_face_is_described_name_by_name():
    page = (DOCS / "api" / "face.rst").read_text(encoding="utf-8")
    homes = dict(re.findall(r":py:\w+:`(\w+) <([\w.]+)>`", page))
    assert sorted(homes) == sorted(e2e_depth_ros.__all__)
    assert [name for name, home in homes.items() if home.rpartition(".")[0] not in MODULES] == []


def test_overviews_show_files_that_exist():
    for page, shown in CONF["OVERVIEWS"].items():
        assert (DOCS / f"{page}.md").exists()
        assert (ROOT / shown).exists()


@pytest.mark.parametrize(
    ("link", "folder", "expected"),
    [
        ("[x](docs/images.md#files)", "", "[x](images.md#files)"),
        ("![x](docs/demo.png)", "", "![x](demo.png)"),
        ("[x](images.md)", "docs", "[x](images.md)"),
        ("[x](gallery/photos.jpg)", "docs", "[x](gallery/photos.jpg)"),
        ("[x](../CONTRIBUTING.md)", "docs", "[x](contributing.md)"),
        ("[x](README.md#topics)", "", "[x](overview.md#topics)"),
        ("[x](../config/depth.yaml)", "docs", "[x](https://here/blob/main/config/depth.yaml)"),
        ("[x](launch/cameras.launch.py)", "", "[x](https://here/blob/main/launch/cameras.launch.py)"),
        ("[x](#topics) and [y](https://arxiv.org)", "", "[x](#topics) and [y](https://arxiv.org)"),
        ("```python\nmakers[kind](rng)\n```", "", "```python\nmakers[kind](rng)\n```"),
    ],
)
def test_links_lead_to_pages_or_to_the_repository(link, folder, expected):
    assert CONF["_with_links_of_the_site"](link, folder, "docs", "https://here") == expected


def test_rosdoc2_finds_it():
    package = (ROOT / "package.xml").read_text(encoding="utf-8")
    name = re.search(r"<rosdoc2>(.+)</rosdoc2>", package).group(1)
    settings = (ROOT / name).read_text(encoding="utf-8")
    folder = re.search(r"user_doc_dir: '(.+)'", settings).group(1)
    assert (ROOT / folder / "conf.py").exists()
