"""What is computed of the package's description; what stands still is in setup.cfg."""

import re
from pathlib import Path

from setuptools import setup

# Not the working directory: colcon's --symlink-install runs a link to this file, beside few others.
ROOT = Path(__file__).resolve().parent
PACKAGE = "e2e_depth_ros"
SHARE = f"share/{PACKAGE}"
# A placeholder: whoever publishes the package writes the repository's address here and in package.xml.
REPOSITORY = "https://example.org/placeholder/e2e_depth_ros"
PICTURES = {".jpg", ".png", ".svg"}


def files(pattern: str) -> list[str]:
    """Return the files of the source tree that match, as setuptools wants them: relative and sorted."""
    return sorted(str(path) for path in Path().glob(pattern) if path.is_file())


def requirements(path: str) -> list[str]:
    """Read the requirements of a file, so that each pin is written once."""
    lines = (line.split("#")[0].strip() for line in (ROOT / path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def with_absolute_links(page: str) -> str:
    """Read a page of Markdown, its links made absolute: a package index shows the page without the files."""

    def absolute(link: re.Match[str]) -> str:
        view = "raw" if Path(link["path"]).suffix in PICTURES else "blob"
        return f"]({REPOSITORY}/{view}/main/{link['path'] or page}{link['rest']})"

    relative = r"\]\((?![a-z]+:)(?P<path>[^)\s#]*)(?P<rest>[^)]*)\)"
    return re.sub(relative, absolute, (ROOT / page).read_text(encoding="utf-8"))


setup(
    url=REPOSITORY,
    project_urls={
        "Source": REPOSITORY,
        "Issues": f"{REPOSITORY}/issues",
        "Changelog": f"{REPOSITORY}/blob/main/CHANGELOG.rst",
    },
    long_description=with_absolute_links("README.md"),
    # Not in setup.cfg: there it becomes an object that colcon cannot read back.
    python_requires=">=3.10",
    # ROS is never listed: a robot brings its own, and requirements-ros.txt is for machines without.
    install_requires=[
        "setuptools",
        # From the distribution, on a robot. The lower bounds are what Ubuntu 22.04 has, and so Humble.
        "numpy>=1.21.5",
        "opencv-python-headless>=4.5.4,<5",
        "pyyaml>=5.4.1",
        *requirements("requirements-robot.txt"),
        'onnxruntime>=1.17 ; python_version < "3.11"',  # see there
    ],
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", files("launch/*.launch.py")),
        (f"{SHARE}/config", files("config/*")),
        (f"{SHARE}/config/sros2", files("config/sros2/*")),
    ],
    extras_require={
        "ros": requirements("requirements-ros.txt"),
        "demo": ["imgviz>=2.1", "scikit-image>=0.19"],
        "hub": ["transformers>=4.49"],
        "openvino": ["openvino>=2026.1"],
        "export": ["onnx>=1.15"],
        "bags": ["rosbags>=0.11.9,<0.12"],
        "video": ["av>=14.2,<19"],
        "heif": ["pillow-heif>=1.0,<2", "pillow>=11.3"],
        "exr": ["OpenEXR>=3.3.2,<4"],
        "view": ["rerun-sdk>=0.39,<0.42"],
        "hypersim": ["h5py>=3.6,<4"],
        "training": ["accelerate>=1.10,<2"],
        "evaluation": ["scikit-learn>=1.0.2", "scipy>=1.8"],
        "test": requirements("requirements-dev.txt"),
    },
)
