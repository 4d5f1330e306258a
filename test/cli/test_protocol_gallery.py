import numpy as np
import pytest

from e2e_depth_ros.cli.protocol_gallery import gallery_row
from e2e_depth_ros.core.maps import DepthKind, DepthMap, NormalMap
from e2e_depth_ros.evaluation.protocols.protocol import Sample
from e2e_depth_ros.evaluation.protocols.registry import protocol_named

SIZE = (270, 400)  # a panel's own height: nothing is scaled
IMAGE = np.full((*SIZE, 3), (10, 200, 30), np.uint8)


def panels(row):
    """Cut a row into its four panels, 6 pixels apart."""
    assert row.shape == (270, 4 * 400 + 3 * 6, 3)
    return [row[:, start : start + 400] for start in range(0, row.shape[1], 406)]


def metric(values):
    return DepthMap(np.asarray(values, np.float32), np.ones(SIZE, np.bool_), DepthKind.METRIC)


def test_depth_is_drawn_as_it_is_scored():
    target = np.full(SIZE, 2.0)
    target[:, 200:] = 4
    target[100:, :50] = np.nan
    prediction = np.where(target == 4, 5, 2.0)  # a quarter too far on the right
    prediction[100:, :50] = 2
    row = gallery_row(
        protocol_named("scannet"), "one", Sample(IMAGE, metric(target)), metric(prediction)
    ).astype(int)
    image, truth, found, error = panels(row)
    assert image[200, 300].tolist() == [10, 200, 30]
    assert truth[200, 20].tolist() == [0, 0, 0]
    np.testing.assert_array_equal(truth[200, 100], found[200, 100])  # 2 m look alike in both
    assert error[200, 300].sum() > 600  # the worst is bright
    assert error[200, 100].sum() < 30  # none is dark
    assert error[200, 20].tolist() == [0, 0, 0]


def test_single_measurements_can_be_seen():
    target = np.full(SIZE, np.nan)
    target[100, 100], target[200, 300] = 2, 4
    row = gallery_row(
        protocol_named("scannet"), "one", Sample(IMAGE, metric(target)), metric(np.full(SIZE, 3.0))
    ).astype(int)
    _, truth, _, error = panels(row)
    assert (truth[98:103, 98:103].sum(-1) > 0).all()
    assert (error[198:203, 298:303].sum(-1) > 600).all()
    assert truth[110, 110].sum() == 0


@pytest.mark.parametrize(("degrees", "bright"), [(0, False), (45, True), (90, True)])
def test_normals_have_their_colours(degrees, bright):
    angle = np.deg2rad(degrees)
    target = NormalMap.from_vectors(np.tile(np.float32([0, 0, -1]), (*SIZE, 1)))
    turned = np.float32([np.sin(angle), 0, -np.cos(angle)])
    prediction = NormalMap.from_vectors(np.tile(turned, (*SIZE, 1)))
    row = gallery_row(protocol_named("ibims_normals"), "one", Sample(IMAGE, target), prediction)
    _, truth, found, error = panels(row.astype(int))
    assert truth[200, 300].tolist() == [128, 128, 255]
    assert found[200, 300, 0] == pytest.approx(127.5 * (1 + np.sin(angle)), abs=1)
    assert (error[200, 300].sum() > 600) == bright
