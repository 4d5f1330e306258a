from __future__ import annotations

import torch

from e2e_depth_ros.model.decoded import depth_from_decoded, normals_from_decoded


def test_depth_is_the_clipped_mean_from_near_0_to_far_1() -> None:
    decoded = torch.tensor(
        [[-4.0, -1.0, -0.5, 0.2, 5.0], [-3.0, -1.0, 0.5, 0.4, 5.0], [-2.0, -1.0, 0.3, 0.0, 5.0]]
    )
    depth = depth_from_decoded(decoded.view(1, 3, 1, 5))
    torch.testing.assert_close(depth, torch.tensor([[[0.0, 0.0, 0.55, 0.6, 1.0]]]))


def test_convention_normals_leave_in_the_optical_frame() -> None:
    # Marigold's axes: x right, y up, z towards the camera. A floor's normal points up, a wall's to us.
    floor, wall, facing_right = (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.6, 0.0, 0.8)
    decoded = torch.tensor([floor, wall, facing_right]).T.reshape(1, 3, 1, 3)
    optical = normals_from_decoded(decoded)[0, :, 0].T
    torch.testing.assert_close(optical, torch.tensor([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [0.6, 0.0, -0.8]]))


def test_normals_have_length_one_whatever_was_decoded() -> None:
    decoded = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 2
    for full in (True, False):
        length = normals_from_decoded(decoded, full_z_range=full).norm(dim=1)
        torch.testing.assert_close(length, torch.ones(2, 5, 7))


def test_nan_stays_nan() -> None:
    decoded = torch.zeros(1, 3, 1, 2)
    decoded[0, 1, 0, 0] = torch.nan
    assert depth_from_decoded(decoded).isnan().tolist() == [[[True, False]]]
    assert normals_from_decoded(decoded).isnan().any(dim=1).tolist() == [[[True, False]]]
