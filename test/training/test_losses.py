"""Losses: values worked out by hand, gradients against finite differences, masks that hold."""

import math

import pytest
import torch

from e2e_depth_ros.training.losses import (
    angle_between,
    depth_loss,
    fit_scale_and_shift,
    gradient_matching,
    near_weights,
    normals_loss,
    quantile_target,
)
from e2e_depth_ros.training.recipe import DepthLossRecipe, NormalsLossRecipe

PAPER = DepthLossRecipe()
EVERY_TERM = DepthLossRecipe(
    target="quantiles",
    clamp_prediction=False,
    near_weighting=0.7,
    anchor=0.4,
    gradient_matching=0.5,
    far=0.15,
)


def scene(batch=3, height=9, width=14, seed=0):
    """Depth in metres with a few holes, and a prediction that isn't an affine image of it."""
    generator = torch.Generator().manual_seed(seed)
    depth_m = 1 + 6 * torch.rand(batch, height, width, generator=generator)
    depth_m[torch.rand(batch, height, width, generator=generator) < 0.2] = 0
    decoded = 1.6 * torch.rand(batch, 3, height, width, generator=generator) - 0.8
    return decoded, depth_m


def least_squares(prediction, target, weight):
    root = weight.double().sqrt()
    design = torch.stack([prediction.double() * root, root], dim=1)
    return torch.linalg.lstsq(design, (target.double() * root)[:, None]).solution[:, 0]


def test_fit_is_the_least_squares_solution():
    decoded, depth_m = scene()
    prediction, weight = decoded.mean(1), (depth_m > 0).float() * torch.linspace(0.1, 2, 14)
    fit = fit_scale_and_shift(prediction, depth_m, weight)
    assert fit.scale.shape == fit.shift.shape == (3, 1, 1)
    for index in range(3):
        scale, shift = least_squares(prediction[index].ravel(), depth_m[index].ravel(), weight[index].ravel())
        assert fit.scale[index].item() == pytest.approx(scale.item(), rel=1e-4)
        assert fit.shift[index].item() == pytest.approx(shift.item(), rel=1e-4)


def test_fit_survives_large_offsets_in_float32():
    # n * sum(p^2) - sum(p)^2 loses every digit here.
    shape = torch.linspace(0, 1, 12 * 17).reshape(1, 12, 17)
    fit = fit_scale_and_shift(1e4 + shape, 3 * shape + 500, torch.ones_like(shape))
    assert fit.scale.item() == pytest.approx(3, rel=2e-2)  # 1e4 + shape itself keeps 1e-3 in float32
    decoded = (50 + shape)[:, None].repeat(1, 3, 1, 1)
    recipe = DepthLossRecipe(clamp_prediction=False)
    assert depth_loss(decoded, 3 * shape + 500, recipe).item() == pytest.approx(0, abs=1e-3)


def test_fit_without_weight_is_zero():
    fit = fit_scale_and_shift(torch.randn(2, 4, 5), torch.randn(2, 4, 5), torch.zeros(2, 4, 5))
    assert fit.scale.tolist() == fit.shift.tolist() == [[[0.0]], [[0.0]]]


def test_paper_loss_is_the_mean_error_in_metres_over_the_batch():
    decoded, depth_m = scene()
    prediction = decoded.mean(1).clamp(-1, 1)
    errors = []
    for one, truth in zip(prediction, depth_m, strict=True):
        known = truth > 0
        scale, shift = least_squares(one[known], truth[known], torch.ones(int(known.sum())))
        errors.append((scale * one[known] + shift - truth[known]).abs())
    # All pixels of the batch pooled: not the mean of the images' means.
    assert depth_loss(decoded, depth_m, PAPER).item() == pytest.approx(
        torch.cat(errors).mean().item(), rel=1e-5
    )


def test_depth_loss_ignores_scale_and_shift():
    _, depth_m = scene()
    decoded = (depth_m / 20 - 0.4)[:, None].repeat(1, 3, 1, 1)
    assert depth_loss(decoded, depth_m, PAPER).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("recipe", [PAPER, EVERY_TERM], ids=["paper", "every term"])
def test_depth_gradient_agrees_with_finite_differences(recipe):
    decoded, depth_m = scene(batch=2, height=5, width=7)
    assert_gradient(lambda x: depth_loss(x, depth_m, recipe), decoded)


@pytest.mark.parametrize("recipe", [PAPER, EVERY_TERM], ids=["paper", "every term"])
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_gradient_of_constant_predictions_is_finite_and_right(recipe, value):
    _, depth_m = scene(batch=2, height=5, width=7)
    decoded = torch.full((2, 3, 5, 7), value)
    loss = depth_loss(decoded.requires_grad_(), depth_m, recipe)
    loss.backward()
    assert torch.isfinite(decoded.grad).all()
    # Up to scale and shift a constant is a saddle; only the anchor shows a way out.
    assert (decoded.grad.abs().max() > 0) == (recipe is EVERY_TERM)
    if recipe is PAPER:
        known = depth_m > 0
        errors = [(d[k] - d[k].mean()).abs() for d, k in zip(depth_m, known, strict=True)]
        assert loss.item() == pytest.approx(torch.cat(errors).mean().item(), rel=1e-5)
    assert_gradient(lambda x: depth_loss(x, depth_m, recipe), decoded.detach())


@pytest.mark.parametrize(("offset", "offset_m"), [(300.0, 0.0), (0.0, 600.0), (-300.0, 600.0)])
def test_gradient_is_right_in_float32_at_large_offsets(offset, offset_m):
    # Neither moves the loss; uncentred sums of float32 would lose it.
    decoded, depth_m = scene(batch=2)
    recipe = DepthLossRecipe(clamp_prediction=False)
    known = depth_m > 0

    def loss_and_gradient(shift, shift_m, dtype):
        point = (decoded.to(dtype) + shift).requires_grad_()
        loss = depth_loss(point, torch.where(known, depth_m + shift_m, 0), recipe)
        loss.backward()
        return loss.item(), point.grad

    loss, gradient = loss_and_gradient(offset, offset_m, torch.float32)
    expected, expected_gradient = loss_and_gradient(0.0, 0.0, torch.float64)
    assert loss == pytest.approx(expected, rel=1e-3)
    difference = (gradient - expected_gradient).norm() / expected_gradient.norm()
    assert difference < 5e-3  # a decoded value of 300 keeps 3e-5 itself
    truth = torch.where(known, depth_m + offset_m, 0)
    # What float32 keeps of the offset prediction is the point at which float64 differentiates.
    assert_gradient(lambda x: depth_loss(x, truth, recipe), decoded + offset, absolute=2e-4)


@pytest.mark.parametrize("recipe", [PAPER, EVERY_TERM], ids=["paper", "every term"])
def test_one_valid_pixel_teaches_nothing_of_shape(recipe):
    decoded, depth_m = scene(batch=1)
    depth_m[:] = 0
    depth_m[0, 4, 5] = 3.0
    decoded.requires_grad_()
    loss = depth_loss(decoded, depth_m, recipe)
    loss.backward()
    assert torch.isfinite(decoded.grad).all()
    if recipe is PAPER:
        assert loss.item() == pytest.approx(0, abs=1e-6)
        assert decoded.grad.abs().max().item() == pytest.approx(0, abs=1e-6)
    assert_gradient(lambda x: depth_loss(x, depth_m, recipe), decoded.detach())


@pytest.mark.parametrize("recipe", [PAPER, EVERY_TERM], ids=["paper", "every term"])
def test_image_without_valid_pixels_contributes_exactly_nothing(recipe):
    decoded, depth_m = scene(batch=2)
    alone = depth_loss(decoded[:1], depth_m[:1], recipe)
    depth_m[1] = 0
    decoded.requires_grad_()
    both = depth_loss(decoded, depth_m, recipe)
    both.backward()
    if recipe is PAPER:
        assert both.item() == alone.item()
    assert decoded.grad[1].abs().max().item() == 0
    assert decoded.grad[0].abs().max().item() > 0


@pytest.mark.parametrize("recipe", [PAPER, EVERY_TERM], ids=["paper", "every term"])
def test_batch_without_valid_pixels_is_zero(recipe):
    decoded, depth_m = scene(batch=2)
    decoded.requires_grad_()
    loss = depth_loss(decoded, torch.zeros_like(depth_m), recipe)
    loss.backward()
    assert loss.item() == 0
    assert decoded.grad.abs().max().item() == 0
    assert_gradient(lambda x: depth_loss(x, torch.zeros_like(depth_m), recipe), decoded.detach())


def test_invalid_pixels_have_no_gradient():
    decoded, depth_m = scene()
    decoded.requires_grad_()
    depth_loss(decoded, depth_m, PAPER).backward()
    assert (decoded.grad.mean(1)[depth_m == 0] == 0).all()


def test_losses_are_float32_within_autocast():
    decoded, depth_m = scene()
    expected = depth_loss(decoded, depth_m, PAPER)
    with torch.autocast("cpu", torch.bfloat16):
        assert depth_loss(decoded, depth_m, PAPER).item() == expected.item()


def test_anchor_fixes_the_sign():
    _, depth_m = scene()
    target = quantile_target(depth_m, depth_m > 0)[:, None].repeat(1, 3, 1, 1)
    recipe = DepthLossRecipe(target="quantiles", clamp_prediction=False, anchor=0.5)
    right, wrong = (depth_loss(sign * target, depth_m, recipe).item() for sign in (1, -1))
    assert right == pytest.approx(0, abs=1e-5)
    assert wrong > 0.1


def test_far_term_pushes_sky_away():
    _, depth_m = scene(batch=1)
    depth_m[:, :3] = 0
    target = quantile_target(depth_m, depth_m > 0)
    recipe = DepthLossRecipe(target="quantiles", clamp_prediction=False, far=0.5)
    sky_near, sky_far = target.clone(), target.clone()
    sky_near[depth_m == 0], sky_far[depth_m == 0] = -1, 1.05
    near, far = (depth_loss(t[:, None].repeat(1, 3, 1, 1), depth_m, recipe) for t in (sky_near, sky_far))
    assert far.item() == pytest.approx(0, abs=1e-5)
    assert near.item() > 0.1


def test_quantile_target_maps_percentiles_and_clamps():
    depth_m = torch.linspace(2, 4, 21 * 33).reshape(1, 21, 33)
    depth_m[0, 0, 0] = 500
    target = quantile_target(depth_m, depth_m > 0)
    assert target[0, 0, 0].item() == pytest.approx(1.15)
    assert target[0, 10, 16].item() == pytest.approx(0, abs=0.02)
    assert target[0, 20, 32].item() == pytest.approx(1, abs=0.06)


def test_near_weights_have_mean_one_and_favour_the_near():
    _, depth_m = scene()
    depth_m[0] *= 30
    weights = near_weights(depth_m, depth_m > 0, 1.0)
    for weight, depth in zip(weights, depth_m, strict=True):
        assert weight[depth > 0].mean().item() == pytest.approx(1, rel=1e-5)
        assert (weight[depth == 0] == 0).all()
        known = depth > 0
        assert weight[known][depth[known].argmin()] > 2 * weight[known][depth[known].argmax()]
    flat = near_weights(depth_m, depth_m > 0, 0.0)
    torch.testing.assert_close(flat, (depth_m > 0).float())


def test_softening_bounds_the_weight_of_the_nearest():
    depth_m = torch.tensor([[[0.1, 2.0, 2.0, 8.0]]])
    hard, soft = (near_weights(depth_m, depth_m > 0, 1.0, softening)[0, 0] for softening in (0.1, 0.5))
    assert (hard[0] / hard[3]).item() == pytest.approx(8.2 / 0.3, rel=1e-5)
    assert (soft[0] / soft[3]).item() == pytest.approx(9.0 / 1.1, rel=1e-5)


def test_weighted_by_span_the_loss_is_the_relative_error_of_depth():
    torch.manual_seed(4)
    room, street = torch.linspace(1, 3, 21 * 33), torch.linspace(2, 90, 21 * 33)
    depth_m = torch.stack([room, street]).reshape(2, 21, 33)
    decoded = torch.randn(2, 3, 21, 33) + quantile_target(depth_m, depth_m > 0)[:, None]
    relative_errors = []
    for prediction, truth in zip(decoded.mean(dim=1), depth_m, strict=True):
        scale, shift = least_squares(prediction.flatten(), truth.flatten(), torch.ones(truth.numel()))
        relative_errors.append(((scale * prediction + shift - truth).abs() / truth).mean().item())
    assert relative_errors[1] > 2 * relative_errors[0]
    recipe = DepthLossRecipe(
        target="quantiles",
        clamp_prediction=False,
        fit_weighting=0.0,
        near_weighting=1.0,
        near_softening=1e-6,
        span_weighting=1.0,
    )
    for image, expected in enumerate(relative_errors):
        only = slice(image, image + 1)
        assert depth_loss(decoded[only], depth_m[only], recipe).item() == pytest.approx(expected, rel=1e-4)
    assert depth_loss(decoded, depth_m, recipe).item() == pytest.approx(sum(relative_errors) / 2, rel=1e-4)


@pytest.mark.parametrize("fit_weighting", [0.0, 0.5])
def test_fit_weighting_chooses_what_scale_and_shift_fit(fit_weighting):
    """With power 0 the loss is that after the plain least-squares fit, whatever the errors weigh."""
    decoded, depth_m = scene(batch=1)
    recipe = DepthLossRecipe(clamp_prediction=False, near_weighting=1.0, fit_weighting=fit_weighting)
    valid = depth_m[0] > 0
    prediction, target = decoded[0].mean(dim=0)[valid], depth_m[0][valid]
    errors = near_weights(depth_m, depth_m > 0, 1.0)[0][valid]
    scale, shift = least_squares(prediction, target, errors**fit_weighting)
    expected = ((scale * prediction + shift - target).abs() * errors).mean()
    assert depth_loss(decoded, depth_m, recipe).item() == pytest.approx(expected.item(), rel=1e-5)


COARSE = DepthLossRecipe(
    target="quantiles", clamp_prediction=False, near_weighting=0.7, gradient_matching=0.5
)


def stripes(softness_px=0):
    """Depth of stripes 24 pixels wide, their outlines as soft as asked for."""
    inside = torch.arange(-24, 120) // 24 % 2
    kernel = torch.ones(1, 1, 2 * softness_px + 1) / (2 * softness_px + 1)
    profile = torch.nn.functional.conv1d(1.0 + inside[None, None], kernel, padding="same")
    return profile[..., 24:-24].expand(1, 72, 96).clone()


def test_sharp_depth_is_as_good_an_answer_to_soft_outlines():
    sharp, soft = stripes(), stripes(softness_px=2)
    free = torch.tensor([False])
    decoded = sharp[:, None].repeat(1, 3, 1, 1)
    assert depth_loss(decoded, soft, COARSE, free) < 0.4 * depth_loss(decoded, soft, COARSE)
    # What is nearer and what is farther still counts.
    slope = torch.linspace(1, 2, 96).expand(1, 3, 72, 96)
    assert depth_loss(slope, soft, COARSE, free) > 0.7 * depth_loss(slope, soft, COARSE)


def test_outlines_are_soft_image_by_image():
    decoded, depth_m = scene(height=24, width=36)
    mixed = depth_loss(decoded, depth_m, PAPER, torch.tensor([True, False, True]))
    valid = (depth_m > 0).sum(dim=(1, 2))
    alone = [
        depth_loss(decoded[only], depth_m[only], PAPER, torch.tensor([outlines]))
        for only, outlines in ((slice(0, 1), True), (slice(1, 2), False), (slice(2, 3), True))
    ]
    expected = (torch.stack(alone) * valid).sum() / valid.sum()
    torch.testing.assert_close(mixed, expected)
    everywhere = depth_loss(decoded, depth_m, PAPER, torch.tensor([True] * 3))
    assert everywhere == depth_loss(decoded, depth_m, PAPER)


def test_holes_do_not_dilute_errors_over_squares():
    """Means are over the pixels that are known."""
    recipe = DepthLossRecipe(clamp_prediction=False)
    decoded, depth_m = scene(batch=1, height=24, width=36)
    smooth = torch.linspace(-1, 1, 36).expand(1, 3, 24, 36)
    coarse = torch.tensor([False])
    few = torch.where(torch.rand(1, 24, 36, generator=torch.Generator().manual_seed(1)) < 0.1, depth_m, 0)
    truth = torch.where(few > 0, 4 + 3 * smooth.mean(dim=1) ** 2, 0)
    dense = 4 + 3 * smooth.mean(dim=1) ** 2
    assert depth_loss(smooth, truth, recipe, coarse).item() == pytest.approx(
        depth_loss(smooth, dense, recipe, coarse).item(), rel=0.3
    )
    assert_gradient(lambda x: depth_loss(x, depth_m, EVERY_TERM, coarse), decoded)


def test_gradient_matching_by_hand():
    error = torch.tensor([[[0.0, 0.0, 1.0]]])
    # Distance 1: |0 - 0| and |1 - 0|; distance 2: |1 - 0|; of three valid pixels.
    assert gradient_matching(error, torch.ones_like(error)).item() == pytest.approx(2 / 3)
    assert gradient_matching(error + 5, torch.ones_like(error)).item() == pytest.approx(2 / 3)
    assert gradient_matching(error, torch.tensor([[[1.0, 0.0, 1.0]]])).item() == pytest.approx(1 / 2)


@pytest.mark.parametrize("angle_deg", [0.0, 1e-3, 30.0, 90.0, 179.99, 180.0])
@pytest.mark.parametrize("length", [0.01, 1.0, 7.0])
def test_angle_is_exact_and_its_gradient_finite(angle_deg, length):
    angle = math.radians(angle_deg)
    vector = length * torch.tensor([math.cos(angle), math.sin(angle), 0.0])
    if angle_deg == 180:
        vector = length * torch.tensor([-1.0, 0.0, 0.0])
    vector = vector.view(1, 3, 1, 1).requires_grad_()
    direction = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    result = angle_between(vector, direction)
    assert result.item() == pytest.approx(angle, abs=1e-6)
    result.sum().backward()
    assert torch.isfinite(vector.grad).all()
    # On the unit sphere the angle's gradient has length 1, but for the kinks.
    expected = 0.0 if angle_deg in (0, 180) else 1 / length
    assert vector.grad.norm().item() == pytest.approx(expected, rel=1e-3)


def test_zero_vector_is_turned_the_right_way():
    direction = torch.tensor([0.6, 0.0, -0.8]).view(1, 3, 1, 1)
    vector = torch.zeros(1, 3, 1, 1, requires_grad=True)
    result = angle_between(vector, direction)
    assert result.item() == pytest.approx(math.pi / 2)
    result.sum().backward()
    torch.testing.assert_close(-vector.grad / vector.grad.norm(), direction)


def test_unknown_direction_turns_nothing():
    vector = torch.tensor([0.3, -2.0, 1.0]).reshape(1, 3, 1, 1).requires_grad_()
    result = angle_between(vector, torch.zeros(1, 3, 1, 1))
    assert result.item() == pytest.approx(math.pi / 2)
    result.sum().backward()
    assert (vector.grad == 0).all()


def test_normals_gradient_agrees_with_finite_differences():
    generator = torch.Generator().manual_seed(1)
    decoded = torch.randn(2, 3, 4, 6, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(2, 3, 4, 6, generator=generator), dim=1)
    normals[:, :, 1, 2] = 0
    assert_gradient(lambda x: normals_loss(x, normals, NormalsLossRecipe(length=0.3)), decoded)


@pytest.mark.parametrize("sign", [1, -1], ids=["0 degrees", "180 degrees"])
def test_normals_gradient_at_the_kinks_agrees_with_finite_differences(sign):
    generator = torch.Generator().manual_seed(2)
    normals = torch.nn.functional.normalize(torch.randn(2, 3, 4, 6, generator=generator), dim=1)
    decoded = (sign * normals).requires_grad_()
    loss = normals_loss(decoded, normals)
    loss.backward()
    assert loss.item() == pytest.approx(0 if sign > 0 else math.pi, abs=1e-3)
    # Rounded to float32 some are 1e-4 rad beside the kink, where the gradient is that of any other angle.
    assert torch.isfinite(decoded.grad).all()
    assert decoded.grad.flatten(2).norm(dim=1).max().item() <= 1.01 / normals[:, 0].numel()

    # Along the axes float32 is exact, and the two sides of the kink cancel.
    axes = torch.zeros(1, 3, 2, 5)
    axes[:, 1] = 1.0
    assert_gradient(lambda x: normals_loss(x, axes), sign * axes)


def test_normals_loss_masks():
    generator = torch.Generator().manual_seed(1)
    decoded = torch.randn(2, 3, 4, 6, generator=generator)
    normals = torch.nn.functional.normalize(torch.randn(2, 3, 4, 6, generator=generator), dim=1)
    alone = normals_loss(decoded[:1], normals[:1])
    normals[1] = 0
    decoded.requires_grad_()
    both = normals_loss(decoded, normals)
    both.backward()
    assert both.item() == pytest.approx(alone.item(), rel=1e-6)
    assert decoded.grad[1].abs().max().item() == 0
    nothing = normals_loss(decoded, torch.zeros_like(normals), NormalsLossRecipe(length=1))
    assert nothing.item() == 0


def assert_gradient(loss, point, step=1e-6, count=12, absolute=1e-5):
    """Compare the float32 gradient with float64 central differences along random directions."""
    point = point.clone().requires_grad_()
    loss(point).backward()
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        direction = torch.randn(point.shape, generator=generator, dtype=torch.float64)
        direction /= direction.norm()
        with torch.no_grad():
            ahead, behind = (loss(point.double() + sign * step * direction) for sign in (1, -1))
        numeric = (ahead - behind).item() / (2 * step)
        assert (point.grad * direction).sum().item() == pytest.approx(numeric, rel=1e-3, abs=absolute)


def test_clipped_target_ends_at_the_percentiles():
    # More pixels than the quantiles of other targets look at: these are exact.
    _, depth_m = scene(batch=2, height=91, width=103)
    depth_m[0, 3, 4] = 500.0
    clipped = depth_m.clone()
    for image in clipped:
        known = image > 0
        low, high = torch.quantile(image[known], torch.tensor([0.02, 0.98]))
        image[known] = image[known].clamp(low, high)
    decoded, _ = scene(batch=2, height=91, width=103, seed=5)
    plain, clipping = DepthLossRecipe(), DepthLossRecipe(clip_target=True)
    expected = depth_loss(decoded, clipped, plain)
    torch.testing.assert_close(depth_loss(decoded, depth_m, clipping), expected)
    assert depth_loss(decoded, depth_m, plain) > 1.02 * expected
