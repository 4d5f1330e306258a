from pathlib import Path

from setuptools import setup

PACKAGE = "e2e_depth_ros"
SHARE = f"share/{PACKAGE}"


def files(pattern: str) -> list[str]:
    """Return the files of the source tree that match, as setuptools wants them: relative and sorted."""
    return sorted(str(path) for path in Path().glob(pattern) if path.is_file())


def requirements(path: str) -> list[str]:
    """Read the requirements of a file, so that each pin is written once."""
    lines = (line.split("#")[0].strip() for line in Path(path).read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


setup(
    # Not in setup.cfg: there it becomes an object that colcon cannot read back.
    python_requires=">=3.10",
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (SHARE, ["package.xml"]),
        (f"{SHARE}/launch", files("launch/*.launch.py")),
        (f"{SHARE}/config", files("config/*")),
        (f"{SHARE}/config/sros2", files("config/sros2/*")),
    ],
    extras_require={
        "ros": requirements("requirements-ros.txt"),
        "demo": ["imgviz>=2.1", "scikit-image>=0.24"],
        "hub": ["transformers>=4.49"],
        "hypersim": ["h5py>=3.11,<4"],
        "training": ["accelerate>=1.10,<2"],
        "evaluation": ["scikit-learn>=1.4", "scipy>=1.11"],
        "test": requirements("requirements-dev.txt"),
    },
)
