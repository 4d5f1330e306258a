"""From an RGB image and an instruction to a painted image, a mask, or keypoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing, framing_for
from e2e_depth_ros.core.image_size import check_image_size
from e2e_depth_ros.model.checkpoint.locate import find_checkpoint
from e2e_depth_ros.model.checkpoint.weights import empty_module, load_weights
from e2e_depth_ros.model.instruct.ancestral import noise_levels
from e2e_depth_ros.model.instruct.facts import read_instruct_facts
from e2e_depth_ros.model.instruct.keypoints import Keypoint, keypoints_from_painting
from e2e_depth_ros.model.instruct.mask import MASK_OPACITY, InstructedMask, mask_from_paint
from e2e_depth_ros.model.instruct.network import (
    EDITING,
    KEYPOINTS,
    SEGMENTATION,
    Guidance,
    InstructNetwork,
)
from e2e_depth_ros.model.instruct.paint import colour_named, find_paint
from e2e_depth_ros.model.instruct.text import TextEncoder
from e2e_depth_ros.model.placement import check_width, device_named, dtype_named, use_threads
from e2e_depth_ros.model.threads import threads_beside_messages


@dataclass(frozen=True, eq=False)
class Painting:
    """An image that the network painted.

    Attributes:
        painted: (h, w, 3), float32, RGB, 0..255, at the size the network works at.
        original: The same of the image as the VAE reconstructs it: what both share are the VAE's faults.
        framing: How the camera's image came to that size.
    """

    painted: NDArray[np.float32]
    original: NDArray[np.float32]
    framing: Framing

    @property
    def image(self) -> NDArray[np.uint8]:
        """The painted image at the camera's size, (H, W, 3), RGB."""
        native = self.framing.invert(torch.from_numpy(self.painted).permute(2, 0, 1)[None])[0]
        return native.permute(1, 2, 0).round().clamp(0, 255).to(torch.uint8).numpy()


class Painter:
    """InstructDiffusion, ready to look at images.

    Args:
        network: See `InstructNetwork`.
        text_encoder: See `TextEncoder`.
        name: Of the checkpoint.
        device: Where to run.
        steps: Denoising steps.
        processing_resolution: Longer edge, pixels, at which the network works; 0 is the image's own size.
        passes_at_once: Of the three that each step takes; fewer need less memory.

    Raises:
        InvalidInputError: The schedule has no such number of steps.
    """

    def __init__(
        self,
        network: InstructNetwork,
        text_encoder: TextEncoder,
        *,
        name: str = "",
        device: torch.device | None = None,
        steps: int = 100,
        processing_resolution: int = 512,
        passes_at_once: int = 3,
    ) -> None:
        noise_levels(network.alpha_bar, steps)
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device).eval().requires_grad_(requires_grad=False)
        self.text_encoder = text_encoder
        self.name = name
        self.steps = steps
        self.processing_resolution = processing_resolution
        self.passes_at_once = passes_at_once

    @classmethod
    def load(
        cls,
        model: str | Path,
        *,
        revision: str | None = None,
        device: str = "auto",
        dtype: str = "auto",
        num_threads: int | None = None,
        steps: int | None = None,
        processing_resolution: int | None = None,
    ) -> Painter:
        """Load a checkpoint that `convert_checkpoint` wrote.

        Args:
            model: A folder, or a hub id (see `find_checkpoint`).
            revision: Of a hub id.
            device: See `device_named`.
            dtype: Of the weights in memory; see `dtype_named`.
            num_threads: Of torch on the CPU, for the whole process; None takes all cores but one.
            steps: Denoising steps; None takes the checkpoint's own number.
            processing_resolution: See the class; None takes the checkpoint's own.

        Raises:
            CheckpointError: It isn't there, is of another family, or isn't whole.
            InvalidInputError: See the class; or device or dtype are none of those.
            MissingDependencyError: transformers is absent.
        """
        from diffusers.models import AutoencoderKL, UNet2DConditionModel  # noqa: PLC0415 - slow
        from diffusers.schedulers import EulerAncestralDiscreteScheduler  # noqa: PLC0415

        chosen_device = device_named(device)
        chosen_dtype = dtype_named(dtype, chosen_device)
        use_threads(num_threads or threads_beside_messages())
        folder = find_checkpoint(model, revision=revision, dtype=chosen_dtype)
        facts = read_instruct_facts(folder)

        def loaded(module_class: Any, component: str, config: Mapping[str, Any]) -> nn.Module:
            module = empty_module(facts.name, module_class, config)
            load_weights(module, facts.weight_files(component, chosen_dtype), chosen_dtype)
            return module

        network = InstructNetwork(
            loaded(UNet2DConditionModel, "unet", facts.unet_config),
            loaded(AutoencoderKL, "vae", facts.vae_config),
            EulerAncestralDiscreteScheduler.from_config(facts.scheduler_config).alphas_cumprod,
        )
        resolution = facts.processing_resolution if processing_resolution is None else processing_resolution
        return cls(
            network,
            TextEncoder(folder),
            name=facts.name,
            device=chosen_device,
            steps=facts.steps if steps is None else steps,
            processing_resolution=resolution,
        )

    def paint(
        self,
        rgb: NDArray[np.uint8],
        instruction: str,
        *,
        guidance: Guidance = EDITING,
        seed: int = 0,
        on_step: Callable[[int], None] | None = None,
    ) -> Painting:
        """Paint an image as told.

        Args:
            rgb: (H, W, 3), uint8.
            instruction: In English.
            guidance: How strongly image and instruction pull.
            seed: Of the noise; the same image, instruction and seed give the same painting.
            on_step: Called with the number of each step before it is taken; may raise, to stop.

        Raises:
            InvalidInputError: The image isn't such an image, or the instruction is too long; or the image is
                too narrow for a network in bfloat16 on a CPU.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
            raise InvalidInputError(f"expected an image (H, W, 3), uint8, got {rgb.shape}, {rgb.dtype}")
        check_image_size(rgb.shape)
        framing = framing_for((rgb.shape[0], rgb.shape[1]), self.processing_resolution, self.network.multiple)
        check_width(framing.padded_size, self.network.halvings, self.device, self.network.unet.dtype)
        with torch.inference_mode():
            pixels = torch.from_numpy(rgb.copy()).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
            image_latents = self.network.encode(framing.apply(pixels))  # (1, L, h / f, w / f)
            latents = self.network.sample(
                image_latents,
                self.text_encoder(instruction).to(self.device),
                self.text_encoder("").to(self.device),
                steps=self.steps,
                guidance=guidance,
                generator=torch.Generator().manual_seed(seed),
                batch=self.passes_at_once,
                on_step=on_step,
            )
            painted = _levels(self.network.decode(latents))
            return Painting(painted, _levels(self.network.reconstruct(image_latents)), framing)

    def segment(
        self,
        rgb: NDArray[np.uint8],
        what: str,
        *,
        colour: str = "red",
        instruction: str | None = None,
        guidance: Guidance = SEGMENTATION,
        threshold: float = 0.5,
        seed: int = 0,
        on_step: Callable[[int], None] | None = None,
    ) -> InstructedMask:
        """Mask what is asked for, at the image's size.

        Args:
            rgb: (H, W, 3), uint8.
            what: Such as "the person on the left".
            colour: That the network paints with; one that isn't in the image serves best.
            instruction: In place of `mask_instruction(what, colour)`; it must ask for a mask of that colour.
            guidance: See `paint`.
            threshold: Probability above which a pixel is masked.
            seed: See `paint`.
            on_step: See `paint`.

        Raises:
            InvalidInputError: See `paint`; or the network doesn't know the colour.
        """
        level = colour_named(colour)
        instruction = instruction or mask_instruction(what, colour)
        painting = self.paint(rgb, instruction, guidance=guidance, seed=seed, on_step=on_step)
        paint = find_paint(painting.painted, painting.original, level, MASK_OPACITY)
        native = painting.framing.invert(torch.from_numpy(paint.probability)[None, None])[0, 0]
        return mask_from_paint(replace(paint, probability=native.numpy()), threshold)

    def find_keypoints(
        self,
        rgb: NDArray[np.uint8],
        what: str,
        *,
        colour: str = "red",
        seed: int = 0,
        on_step: Callable[[int], None] | None = None,
    ) -> list[Keypoint]:
        """Find points that are asked for, in pixels of the image, the most confident first.

        Args:
            rgb: (H, W, 3), uint8.
            what: Such as "the left knee of the people".
            colour: See `segment`.
            seed: See `paint`.
            on_step: See `paint`.

        Raises:
            InvalidInputError: See `segment`.
        """
        level = colour_named(colour)
        painting = self.paint(
            rgb, keypoint_instruction(what, colour), guidance=KEYPOINTS, seed=seed, on_step=on_step
        )
        height, width = painting.framing.content_size
        across, down = rgb.shape[1] / width, rgb.shape[0] / height
        return [
            found._replace(u_px=(found.u_px + 0.5) * across - 0.5, v_px=(found.v_px + 0.5) * down - 0.5)
            for found in keypoints_from_painting(
                painting.painted[:height, :width], painting.original[:height, :width], level
            )
        ]


def mask_instruction(what: str, colour: str) -> str:
    """Return the instruction to mask something."""
    return f"Place a {colour} mask on the pixels of {what} and leave everything else as it is."


def keypoint_instruction(what: str, colour: str) -> str:
    """Return the instruction to mark points."""
    return f"Put {colour} circles on {what}."


def _levels(images: Tensor) -> NDArray[np.float32]:
    """Turn one image, (1, 3, h, w) in [-1, 1], into levels, (h, w, 3), 0..255.

    Raises:
        InvalidInputError: It has values that aren't finite.
    """
    if not torch.isfinite(images).all():
        raise InvalidInputError("expected a finite image from the network, got others; is float16 too small?")
    levels: NDArray[np.float32] = ((images[0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).cpu().numpy()
    return levels
