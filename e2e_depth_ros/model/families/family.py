"""What all families share: a network of VAE, UNet, prompts and sampler, and what a family tells of itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor, nn

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.facts import CheckpointFacts, Family
from e2e_depth_ros.model.checkpoint.layout import Configs
from e2e_depth_ros.model.checkpoint.prompt import prompt_embeddings
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import Task

Predict = Callable[[Tensor, Tensor], Tensor]
"""The network's output for latents, (N, L, h / f, w / f), at a timestep, ()."""


@dataclass(frozen=True)
class StaticInputs:
    """What a UNet is told in each pass besides latents and timestep: the same for every image.

    Attributes:
        tasks: T that a batch holds, task by task, the images of each in the same order.
        prompts: (T, n, d).
        classes: (T, c), what the class embedding is made of; None without one.
        is_joint: Whether the tasks' maps of an image attend to each other.
        sees_image: Whether it also attends to the image, see `LatentNetwork.image_tokens`.
        clips_decoded: Whether each channel that is decoded is held within [-1, 1], before any mean.
    """

    tasks: tuple[Task, ...]
    prompts: Tensor
    classes: Tensor | None = None
    is_joint: bool = False
    sees_image: bool = False
    clips_decoded: bool = False


class Sampler(Protocol):
    """What leads from the start to the predicted latents."""

    starts_from_noise: bool
    """False where the start is zero."""

    steps: int
    """How often it asks the network."""

    def draw_noise(
        self, shape: Sequence[int], generator: torch.Generator, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Draw noise to start from, (N, L, h / f, w / f), on the CPU."""

    def __call__(self, predict: Predict, start: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the predicted latents.

        Args:
            predict: The network.
            start: (N, L, h / f, w / f), noise or zeros.
            generator: Of noise that is added between steps; on the CPU.
        """


class LatentNetwork(nn.Module):
    """A network that predicts the latents of a map from the latents of an image.

    The image's latents are the *mean* of the VAE's posterior: nothing is drawn there. Where the UNet also
    reads a target and the sampler starts from zero, the target is zero: nothing is random. (The zero half
    costs next to nothing, so conv_in isn't cut down for inference: one set of weights serves both.) Gradients
    flow through all three parts unless the caller freezes parameters.

    Args:
        unet: diffusers' UNet2DConditionModel; it reads L channels (image) or 2 L (image, then target).
        vae: diffusers' AutoencoderKL or AutoencoderTiny, of latents of L channels.
        prompt_embeddings: (1, n, d) for each task the network serves, all of the same n.
        sampler: From the start to the prediction.

    Raises:
        CheckpointError: The sampler starts from noise, and the UNet reads no target.
    """

    unet: Any  # diffusers has no type information
    vae: Any

    def __init__(
        self, unet: nn.Module, vae: nn.Module, prompt_embeddings: Mapping[Task, Tensor], sampler: Sampler
    ) -> None:
        super().__init__()
        self.unet = unet
        self.vae = vae
        self.sampler = sampler
        self.tasks = frozenset(prompt_embeddings)
        # In one order in each process: those that train together hand buffers over by their place.
        for task in Task:
            if task in prompt_embeddings:
                self.register_buffer(_buffer_name(task), prompt_embeddings[task])
        config = self.unet.config
        self.reads_target: bool = config.in_channels == 2 * config.out_channels
        if sampler.starts_from_noise and not self.reads_target:
            raise CheckpointError(
                f"expected a UNet that reads image and target, {2 * config.out_channels} channels, to "
                f"denoise; got one of {config.in_channels}"
            )

    def forward(self, images: Tensor, tasks: Task | Sequence[Task]) -> Tensor:
        """Predict in pixel space, unclamped, from zero.

        Args:
            images: (B, 3, h, w), RGB in [-1, 1]; h and w multiples of the VAE's factor.
            tasks: What to predict, for all images or for each.

        Returns:
            (B, 3, h, w) as decoded, about [-1, 1]; see `depth_from_decoded` and `normals_from_decoded`.
        """
        return self.decode(self.predict(self.encode(images), tasks))

    def denoise(
        self,
        image_latents: Tensor,
        tasks: Sequence[Task],
        start: Tensor | None = None,
        *,
        tokens: Tensor | None = None,  # noqa: ARG002 - most see the image in its latents alone
        generator: torch.Generator | None = None,
        batch: int | None = None,
    ) -> Tensor:
        """Predict latents for each task.

        Args:
            image_latents: (M, L, h / f, w / f), see `encode`.
            tasks: T of them.
            start: (T * M, L, h / f, w / f), noise, task by task; None where the sampler starts from zero.
            tokens: (M, n, d), see `image_tokens`.
            generator: Of noise that is added between steps; on the CPU.
            batch: How many items the UNet may see at once; None for all. Each step takes all items before the
                next begins, so the result doesn't depend on it.

        Returns:
            (T * M, L, h / f, w / f), task by task.
        """
        asked = [task for task in tasks for _ in image_latents]
        images = image_latents.repeat(len(tasks), 1, 1, 1)
        return self.predict(images, asked, start, generator=generator, batch=batch)

    def predict(
        self,
        image_latents: Tensor,
        tasks: Task | Sequence[Task],
        start: Tensor | None = None,
        *,
        generator: torch.Generator | None = None,
        batch: int | None = None,
    ) -> Tensor:
        """Predict one task of each image; see `denoise`.

        Args:
            image_latents: (B, L, h / f, w / f).
            tasks: What to predict, for all images or for each.
            start: (B, L, h / f, w / f); see `denoise`.
            generator: See `denoise`.
            batch: See `denoise`.
        """
        self.check_start(start, len(image_latents))
        return self._predicted(image_latents, tasks, start, generator, batch)

    def complete(self, image_latents: Tensor, tasks: Task | Sequence[Task], measured: Tensor) -> Tensor:
        """Predict from what was measured in place of zeros, by a network that was taught to.

        Args:
            image_latents: (B, L, h / f, w / f).
            tasks: What to predict, for all images or for each.
            measured: (B, L, h / f, w / f), the latents of a hint; zeros where nothing was measured.
        """
        self.check_start(None, len(image_latents))
        return self._predicted(image_latents, tasks, measured)

    def _predicted(
        self,
        image_latents: Tensor,
        tasks: Task | Sequence[Task],
        start: Tensor | None,
        generator: torch.Generator | None = None,
        batch: int | None = None,
    ) -> Tensor:
        items = len(image_latents)
        wanted = [tasks] * items if isinstance(tasks, Task) else list(tasks)
        if len(wanted) != items:
            raise InvalidInputError(f"expected a task for each of {items} images, got {len(wanted)}")
        prompts = self.prompts(wanted)

        def output(latents: Tensor, timestep: Tensor) -> Tensor:
            def part(images: Tensor, latents: Tensor, prompts: Tensor) -> Tensor:
                unet_input = torch.cat([images, latents], dim=1) if self.reads_target else images
                return self.unet_output(unet_input, timestep, prompts)

            return in_batches(part, batch, image_latents, latents, prompts)

        return self.sampler(output, torch.zeros_like(image_latents) if start is None else start, generator)

    def unet_output(self, unet_input: Tensor, timestep: Tensor, prompts: Tensor) -> Tensor:
        """Ask the UNet, (N, L or 2 L, h / f, w / f) -> (N, L, h / f, w / f)."""
        output: Tensor = self.unet(unet_input, timestep, prompts, return_dict=False)[0]
        return output

    def check_start(self, start: Tensor | None, items: int) -> None:
        """Refuse noise where the sampler starts from zero, and none where it starts from noise.

        Raises:
            InvalidInputError: It is so, or there is not one start for each item.
        """
        expected = items if self.sampler.starts_from_noise else 0
        found = 0 if start is None else len(start)
        if found != expected:
            what = (
                f"noise for each of {items} predictions" if expected else "no noise, as it starts from zero"
            )
            raise InvalidInputError(f"expected {what}, got {found or 'none'}")

    def prompt_embedding(self, task: Task) -> Tensor:
        """Return the text embedding that asks for a task, (1, n, d)."""
        if task not in self.tasks:
            raise InvalidInputError(
                f"expected a task among {sorted(t.value for t in self.tasks)}, got {task.value!r}"
            )
        embedding: Tensor = getattr(self, _buffer_name(task))
        return embedding

    def prompts(self, tasks: Sequence[Task]) -> Tensor:
        """Return the embeddings of a batch's tasks, (B, n, d)."""
        return torch.cat([self.prompt_embedding(task) for task in tasks])

    def static_inputs(self, tasks: Sequence[Task]) -> StaticInputs:
        """Return what the UNet is told, whatever the image, to predict tasks: so a graph can be fixed."""
        return StaticInputs(tuple(tasks), self.prompts(tasks))

    def image_tokens(self, images: Tensor) -> Tensor | None:  # noqa: ARG002 - most have none
        """Return what the UNet attends to of each image, (B, 3, h, w) -> (B, n, d); mostly None."""
        return None

    def encode(self, images: Tensor) -> Tensor:
        """Return the latents of images, (B, 3, h, w) in [-1, 1] -> (B, L, h / f, w / f)."""
        encoded = self.vae.encode(images)
        latents: Tensor = encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents
        scaled: Tensor = latents * self.vae.config.scaling_factor
        return scaled

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images of latents, (B, L, h / f, w / f) -> (B, 3, h, w), unclamped."""
        decoded: Tensor = self.vae.decode(latents / self.vae.config.scaling_factor, return_dict=False)[0]
        return decoded

    def enable_gradient_checkpointing(self) -> None:
        """Trade time for memory in training: recompute activations of the UNet and VAE going backward."""
        self.unet.enable_gradient_checkpointing()
        self.vae.enable_gradient_checkpointing()


def in_batches(function: Callable[..., Tensor], batch: int | None, *tensors: Tensor) -> Tensor:
    """Apply a function to parts of tensors along their first dimension, and join what it returns.

    Args:
        function: Of as many tensors as are given.
        batch: Largest first dimension that it sees; None for all at once.
        tensors: Of one first dimension.
    """
    items = len(tensors[0])
    size = batch or items
    results = [function(*(tensor[i : i + size] for tensor in tensors)) for i in range(0, items, size)]
    return results[0] if len(results) == 1 else torch.cat(results)


def _buffer_name(task: Task) -> str:
    return f"prompt_{task.value}"


class NetworkFamily(Family, ABC):
    """A family: which checkpoints are of it, and what network they become."""

    network_class: ClassVar[type[LatentNetwork]] = LatentNetwork
    """What the parts are joined to."""

    @abstractmethod
    def recognises(self, configs: Configs) -> bool:
        """Tell whether a checkpoint shows all that is this family's, and nothing that speaks against it."""

    @abstractmethod
    def sampler(self, facts: CheckpointFacts, sampling: Sampling) -> Sampler:
        """Make what leads from the start to the prediction.

        Raises:
            InvalidInputError: It can't take so many steps.
        """

    def check_sampling(self, facts: CheckpointFacts, sampling: Sampling) -> None:
        """Refuse what the family can't do.

        Raises:
            InvalidInputError: Names the option, and what the checkpoint does instead.
        """
        if not self.is_one_step:
            return
        asked = {
            "steps": (sampling.steps or 1, 1),
            "an ensemble of": (sampling.ensemble_size, 1),
            "a share carried over of": (sampling.carry, 0),
        }
        for what, (value, only) in asked.items():
            if value != only:
                raise InvalidInputError(
                    f"{facts.name} answers in one deterministic step: expected {what} {only}, got {value:g}"
                )

    def network(
        self,
        facts: CheckpointFacts,
        unet: nn.Module,
        vae: nn.Module,
        sampling: Sampling,
        *,
        padded_prompt: bool = False,
    ) -> LatentNetwork:
        """Join the parts to a network, with what asks it for its tasks.

        Args:
            facts: The checkpoint, in a folder.
            unet: With its weights, of the dtype of the network.
            vae: With its weights.
            sampling: As `check_sampling` lets it pass.
            padded_prompt: Ask by the prompt padded to 77 tokens.

        Raises:
            CheckpointError: What it attends to is missing or broken, or the UNet isn't one of the family's.
            InvalidInputError: The sampler can't take so many steps.
            MissingDependencyError: transformers is needed and absent.
        """
        prompts = self.prompts(facts, unet, padded=padded_prompt)
        return self.network_class(unet, vae, prompts, self.sampler(facts, sampling))

    def prompts(
        self, facts: CheckpointFacts, unet: nn.Module, *, padded: bool, text: str = ""
    ) -> dict[Task, Tensor]:
        """Return what asks for each task, (1, n, d), of the UNet's dtype; see `prompt_embeddings`."""
        dtype = next(unet.parameters()).dtype
        embeddings = prompt_embeddings(facts, padded=padded, text=text)
        return {task: embedding.to(dtype) for task, embedding in embeddings.items()}
