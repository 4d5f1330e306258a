from __future__ import annotations

from typing import Any

import pytest
import torch
from diffusers import MarigoldDepthPipeline
from torch import Tensor
from torch.nn import functional

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.maps import DepthKind
from e2e_depth_ros.model.ensemble import align_members, ensemble_depth, ensemble_normals


def _smooth(size: tuple[int, int], rows: int, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(1, 1, rows, rows + 2, generator=generator)
    return functional.interpolate(coarse, size, mode="bicubic")[0, 0]


def _members(count: int, size: tuple[int, int] = (33, 70), noise: float = 0.05, seed: int = 0) -> Tensor:
    """Predictions of one scene, each of its own scale, shift and errors, in 0..1 as networks predict."""
    generator = torch.Generator().manual_seed(seed)
    scene = _smooth(size, 6, generator) + 0.5 * _smooth(size, 20, generator)
    scene = (scene - scene.min()) / (scene.max() - scene.min())
    members = []
    for scale, shift in torch.rand(count, 2, generator=generator).tolist():
        error = _smooth(size, 8, generator) + 0.3 * _smooth(size, 30, generator)
        members.append((0.7 + 0.3 * scale) * (scene + noise * error) + 0.1 * shift)
    return torch.stack(members).clamp(0, 1)


def _disagreement(depths: Tensor, scales: Tensor, shifts: Tensor) -> float:
    """The sum of the members' pairwise RMSEs, which all methods minimise; in float64, so that it is exact."""
    aligned = (depths * scales[:, None, None] + shifts[:, None, None]).double()
    pairs = torch.combinations(torch.arange(len(depths)))
    return sum(float((aligned[i] - aligned[j]).square().mean().sqrt()) for i, j in pairs)


def test_members_that_differ_by_scale_and_shift_become_one() -> None:
    scene = _members(1)[0]
    scales, shifts = torch.tensor([1.0, 0.3, 0.8, 0.05]), torch.tensor([0.0, 0.2, 0.1, 0.6])
    found = ensemble_depth(scene * scales[:, None, None] + shifts[:, None, None])
    expected = (scene - scene.min()) / (scene.max() - scene.min())
    torch.testing.assert_close(found.values[0], expected, rtol=0, atol=1e-4)
    assert found.uncertainty.max() < 1e-4


@pytest.mark.parametrize("seed", [0, 1])
def test_alignment_is_the_minimum(seed: int) -> None:
    """No scale or shift can be changed for the better (with the sum of standard deviations held)."""
    depths = _members(5, seed=seed)
    deviations = depths.flatten(1).std(dim=1, correction=0)
    scales, shifts = align_members(depths)
    assert float(scales @ deviations) == pytest.approx(5, rel=1e-4)
    best = _disagreement(depths, scales, shifts)
    generator = torch.Generator().manual_seed(7)
    for size in (0.003, 0.03, 0.3):
        for _ in range(20):
            changed = scales + size * torch.randn(5, generator=generator)
            changed = changed * 5 / (changed @ deviations)
            moved = shifts + size * torch.randn(5, generator=generator)
            assert _disagreement(depths, changed, moved) > best


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("count", "noise"), [(3, 0.02), (10, 0.05), (10, 0.1)])
def test_members_agree_better_than_by_diffusers(
    monkeypatch: pytest.MonkeyPatch, count: int, noise: float, seed: int
) -> None:
    """Where a general minimiser stops depends on the machine; ours is the minimum, which it can't undercut.

    A common scale means nothing, but the cost grows with it: both are brought to one sum of standard
    deviations. (Not to one range: two pixels decide it, and no method minimises that.)
    """
    depths = _members(count, noise=noise, seed=seed)
    deviations = depths.flatten(1).std(dim=1, correction=0)

    def at_one_scale(scales: Tensor, shifts: Tensor) -> tuple[Tensor, Tensor]:
        factor = count / (scales @ deviations)
        return scales * factor, shifts * factor

    theirs = at_one_scale(*_alignment_of_diffusers(depths, monkeypatch))
    ours = at_one_scale(*align_members(depths))
    # Scales are float32: a cost that both reach is the same to some roundings.
    assert _disagreement(depths, *ours) <= _disagreement(depths, *theirs) * (1 + 1e-6)


def test_a_bad_member_does_not_sway_the_rest() -> None:
    depths = _members(7, noise=0.01)
    without = ensemble_depth(depths[:6]).values
    generator = torch.Generator().manual_seed(3)
    depths[6] = torch.rand(depths.shape[1:], generator=generator)
    difference = (ensemble_depth(depths).values - without).abs().mean()
    assert difference < 0.02


def test_uncertainty_grows_where_members_disagree() -> None:
    depths = _members(8, noise=0.01)
    generator = torch.Generator().manual_seed(3)
    depths[:, :, 50:] += 0.1 * torch.randn(8, 33, 20, generator=generator)
    uncertainty = ensemble_depth(depths).uncertainty
    assert uncertainty[:, 50:].mean() > 4 * uncertainty[:, :50].mean()


def test_scale_invariant_members_keep_their_zero() -> None:
    scene = 0.2 + 0.6 * _members(1)[0]
    found = ensemble_depth(
        torch.stack([scene, 0.5 * scene, 1.2 * scene]), kind=DepthKind.SCALE_INVARIANT
    ).values[0]
    torch.testing.assert_close(found, scene / scene.max(), rtol=0, atol=1e-4)


def test_members_without_any_depth_are_survived() -> None:
    depths = _members(4, noise=0.01)
    depths[1] = 0.4
    assert torch.isfinite(ensemble_depth(depths).values).all()
    constant = ensemble_depth(torch.full((3, 4, 5), 0.7))
    assert not constant.values.any()
    assert not constant.uncertainty.any()


def test_nan_stays_where_it_is() -> None:
    depths = _members(4)
    expected = ensemble_depth(depths).values[0]
    depths[2, 5, 9] = torch.nan
    values, uncertainty = ensemble_depth(depths)
    assert values[0].isnan().nonzero().tolist() == uncertainty.isnan().nonzero().tolist() == [[5, 9]]
    torch.testing.assert_close(values[0].nan_to_num(float(expected[5, 9])), expected, rtol=0, atol=1e-2)
    assert ensemble_depth(torch.full((3, 4, 5), torch.nan)).values.isnan().all()


def test_normals_are_the_member_closest_to_the_mean() -> None:
    angles = torch.tensor([0.0, 0.3, 0.5])
    members = torch.stack([angles.sin(), torch.zeros(3), angles.cos()], dim=1)[:, :, None, None]
    found = ensemble_normals(members.expand(-1, -1, 2, 3))
    torch.testing.assert_close(found.values[:, 1, 2], members[1, :, 0, 0])
    mean = members[:, :, 0, 0].mean(dim=0)
    mean_angle = torch.atan2(mean[0], mean[2])
    expected = (angles - mean_angle).abs().mean() / torch.pi
    torch.testing.assert_close(found.uncertainty, expected.expand(2, 3), rtol=0, atol=1e-4)


def test_normals_with_a_nan_are_nan_there() -> None:
    normals = functional.normalize(torch.randn(3, 3, 4, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    normals[1, 2, 0, 3] = torch.nan
    values, uncertainty = ensemble_normals(normals)
    assert uncertainty.isnan().nonzero().tolist() == [[0, 3]]
    assert values.isnan().any(dim=0).nonzero().tolist() == [[0, 3]]


def test_refuses_other_shapes() -> None:
    with pytest.raises(InvalidInputError, match=r"\(E, h, w\), got \(2, 1, 3, 4\)"):
        ensemble_depth(torch.zeros(2, 1, 3, 4))
    with pytest.raises(InvalidInputError, match=r"\(E, 3, h, w\), got \(2, 1, 3, 4\)"):
        ensemble_normals(torch.zeros(2, 1, 3, 4))


def _alignment_of_diffusers(depths: Tensor, monkeypatch: pytest.MonkeyPatch) -> tuple[Tensor, Tensor]:
    import scipy.optimize

    minimize = scipy.optimize.minimize
    found: list[Any] = []
    monkeypatch.setattr(
        "scipy.optimize.minimize", lambda *a, **k: found.append(minimize(*a, **k)) or found[-1]
    )
    MarigoldDepthPipeline.ensemble_depth(depths[:, None])
    scales, shifts = torch.from_numpy(found[0].x).float().chunk(2)
    return scales, shifts
