from __future__ import annotations

import time
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


def _cost(depths: Tensor, scales: Tensor, shifts: Tensor) -> float:
    """Marigold's: the pairwise RMSEs, and 0.02 of what the median lacks of 0 and 1."""
    aligned = depths * scales[:, None, None] + shifts[:, None, None]
    pairs = torch.combinations(torch.arange(len(depths)))
    rmse = sum(float((aligned[i] - aligned[j]).square().mean().sqrt()) for i, j in pairs)
    median = aligned.median(dim=0).values
    return rmse + 0.02 * float(median.min().abs() + (1 - median.max()).abs())


def _rescaled(depths: Tensor, scales: Tensor, shifts: Tensor, span: float | None) -> tuple[Tensor, Tensor]:
    """The same alignment, all of it scaled and shifted: members' mean range is `span`, or the median's 1."""
    median = (depths * scales[:, None, None] + shifts[:, None, None]).median(dim=0).values
    factor = 1 / (median.max() - median.min()) if span is None else span / _mean_range(depths, scales)
    return scales * factor, (shifts - median.min()) * factor


def _mean_range(depths: Tensor, scales: Tensor) -> float:
    flat = depths.flatten(1)
    return float((scales * (flat.max(dim=1).values - flat.min(dim=1).values)).mean())


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

    def rmse(scales: Tensor, shifts: Tensor) -> float:
        aligned = (depths * scales[:, None, None] + shifts[:, None, None]).double()
        return sum(
            float((aligned[i] - aligned[j]).square().mean().sqrt())
            for i, j in torch.combinations(torch.arange(len(depths)))
        )

    best = rmse(scales, shifts)
    generator = torch.Generator().manual_seed(7)
    for size in (0.003, 0.03, 0.3):
        for _ in range(20):
            changed = scales + size * torch.randn(5, generator=generator)
            changed = changed * 5 / (changed @ deviations)
            moved = shifts + size * torch.randn(5, generator=generator)
            assert rmse(changed, moved) > best


@pytest.mark.parametrize(("count", "noise"), [(3, 0.02), (10, 0.05), (10, 0.1)])
def test_alignment_costs_less_than_that_of_diffusers(
    monkeypatch: pytest.MonkeyPatch, count: int, noise: float
) -> None:
    depths = _members(count, noise=noise)
    theirs = _alignment_of_diffusers(depths, monkeypatch)
    ours = align_members(depths)
    # A common scale means nothing, but the cost grows with it: compare at theirs, and at that of the result.
    same = _rescaled(depths, *ours, span=_mean_range(depths, theirs[0]))
    assert _cost(depths, *same) < _cost(depths, *theirs)
    assert _cost(depths, *_rescaled(depths, *ours, None)) < _cost(depths, *_rescaled(depths, *theirs, None))


def test_ten_predictions_take_a_fifth_of_the_time_of_diffusers() -> None:
    """Smaller than 576 x 768, where the test would take minutes; there the ratio is smaller still."""
    depths = _members(10, size=(72, 96))
    ensemble_depth(depths)
    begin = time.process_time()
    for _ in range(3):
        ensemble_depth(depths)
    ours = (time.process_time() - begin) / 3
    begin = time.process_time()
    MarigoldDepthPipeline.ensemble_depth(depths[:, None], output_uncertainty=True)
    assert ours < 0.2 * (time.process_time() - begin)


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
