import pytest

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.names import check_name

NAMES = ("nyuv2", "kitti_eigen", "nyuv2_normals", "ibims_normals")


def test_a_known_name_passes():
    assert check_name("nyuv2_normals", NAMES, "a protocol") == "nyuv2_normals"


@pytest.mark.parametrize(
    ("given", "meant"),
    [("kitti", "kitti_eigen"), ("ibims", "ibims_normals"), ("nyu", "nyuv2"), ("kiti_eigen", "kitti_eigen")],
)
def test_the_closest_name_is_suggested(given, meant):
    with pytest.raises(
        InvalidInputError, match=rf"a protocol of nyuv2, .*, got '{given}'; did you mean {meant}\?$"
    ):
        check_name(given, NAMES, "a protocol")


@pytest.mark.parametrize("given", ["", "zebra", "x\n" * 5000])
def test_what_is_like_none_suggests_none(given):
    with pytest.raises(InvalidInputError) as refused:
        check_name(given, NAMES, "a protocol")
    assert "did you mean" not in str(refused.value)
    assert len(str(refused.value)) < 300
