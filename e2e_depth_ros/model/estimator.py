"""From an RGB image to relative depth and normals."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.core.framing import Framing, framing_for
from e2e_depth_ros.core.given_numbers import is_whole
from e2e_depth_ros.model.engine.choice import load_engine
from e2e_depth_ros.model.engine.engine import FASTEST, NETWORK_STAGES, Engine, Place, Request
from e2e_depth_ros.model.estimate import Estimate
from e2e_depth_ros.model.limits import DEFAULT_BATCH_MEMORY_MB, MAX_RESOLUTION, batch_that_fits
from e2e_depth_ros.model.network_facts import NetworkFacts
from e2e_depth_ros.model.sampling import Sampling
from e2e_depth_ros.model.task import AUTO, Task
from e2e_depth_ros.model.upsampling import DEFAULT_UPSAMPLING, chosen_upsampling

__all__ = ["NETWORK_STAGES", "Estimate", "Estimator"]


class Estimator:
    """A network that is ready to look at images.

    Don't call one estimator from several threads at once; the network already uses all of its own.

    Args:
        engine: The network, and what runs it.
        processing_resolution: Longer edge, pixels, at which the network works; 0 for the image's own size,
            None for the checkpoint's.
        upsampling: How depth comes from that size to the image's: "bilinear", "guided" by the outlines of the
            image (see `Estimate.outlined_depth`), or "auto": as the checkpoint says.
        batch_memory_mb: Approximate memory, 10^6 bytes, that the activations of one pass may use besides the
            weights. Ensembles and batches run in parts that fit; a single image always runs.

    Raises:
        InvalidInputError: An argument is impossible.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        processing_resolution: int | None = None,
        upsampling: str = DEFAULT_UPSAMPLING,
        batch_memory_mb: int = DEFAULT_BATCH_MEMORY_MB,
    ) -> None:
        self.engine = engine
        self.facts: NetworkFacts = engine.facts
        self.sampling: Sampling = engine.sampling
        if not is_whole(batch_memory_mb, 1):
            raise InvalidInputError(f"expected at least 1 MB for a pass, got {batch_memory_mb!r}")
        self.batch_memory_mb = batch_memory_mb
        self.upsampling = chosen_upsampling(upsampling, self.facts.upsampling)
        if processing_resolution is not None and not is_whole(processing_resolution, 0, MAX_RESOLUTION):
            raise InvalidInputError(
                f"expected a processing resolution of 0 to {MAX_RESOLUTION}, got {processing_resolution!r}"
            )
        self.processing_resolution = (
            self.facts.processing_resolution if processing_resolution is None else processing_resolution
        )

    @classmethod
    def load(
        cls,
        model: str | Path = "embedded",
        *,
        engine: str = FASTEST,
        revision: str | None = None,
        task: str = AUTO,
        device: str = "auto",
        dtype: str = "auto",
        processing_resolution: int | None = None,
        upsampling: str = DEFAULT_UPSAMPLING,
        num_threads: int | None = None,
        padded_prompt: bool = False,
        sampling: Sampling | None = None,
        batch_memory_mb: int = DEFAULT_BATCH_MEMORY_MB,
        compiled: bool = False,
    ) -> Estimator:
        """Load a model.

        Args:
            model: "embedded", the folder of a checkpoint or of an exported model, or a hub id (see
                `find_checkpoint`).
            engine: "auto", "torch", "onnx" or "openvino"; the last two run exported models, the embedded one
                too. "auto" takes the fastest that is installed and gives the same result.
            revision: Of a hub id.
            task: What the checkpoint predicts, if its configs don't say: "auto" (as they or its name say),
                "depth", "disparity" or "normals".
            device: "auto" (a GPU where there is one), "cuda", "cuda:1", "cpu"; with engine onnx also
                "tensorrt".
            dtype: "auto" (float16 on a GPU, float32 on a CPU), "float32", "float16", "bfloat16". On a CPU
                that has bfloat16 it is faster, but depth comes in steps of 0.2 to 0.4 % of its range.
            processing_resolution: See the class.
            upsampling: See the class.
            num_threads: On the CPU; torch's are those of the whole process. None takes all cores, and for
                torch, whose threads need a core each, all but one.
            padded_prompt: Use the empty prompt of 77 tokens instead of 2.
            sampling: How to sample; None for the defaults.
            batch_memory_mb: See the class.
            compiled: Compile the network by torch.compile, for engine torch: faster on a GPU, but the first
                frame of each size takes minutes.

        Raises:
            CheckpointError: The model is missing or incomplete.
            InvalidInputError: An argument has none of the values above, the device is absent, or the
                model can't be run or sampled in this way.
            MissingDependencyError: The engine's library isn't installed.
        """
        loaded = load_engine(
            engine,
            model,
            revision=revision,
            task=task,
            device=device,
            dtype=dtype,
            num_threads=num_threads,
            padded_prompt=padded_prompt,
            sampling=sampling,
            compiled=compiled,
        )
        return cls(
            loaded,
            processing_resolution=processing_resolution,
            upsampling=upsampling,
            batch_memory_mb=batch_memory_mb,
        )

    @property
    def place(self) -> Place:
        """What runs the network, and where."""
        return self.engine.place

    @property
    def steps(self) -> int:
        """How often it runs the network per image."""
        return self.engine.steps

    @property
    def tasks(self) -> frozenset[Task]:
        """What it can predict."""
        return self.facts.tasks

    def estimate(
        self,
        rgb: NDArray[np.uint8],
        *,
        tasks: Collection[Task] = (Task.DEPTH,),
        stretch: bool = False,
        synchronize: bool = False,
    ) -> Estimate:
        """Look at one image; see `estimate_batch`."""
        return self.estimate_batch([rgb], tasks=tasks, stretch=stretch, synchronize=synchronize)[0]

    def estimate_batch(
        self,
        images: Sequence[NDArray[np.uint8]],
        *,
        tasks: Collection[Task] = (Task.DEPTH,),
        stretch: bool = False,
        synchronize: bool = False,
    ) -> list[Estimate]:
        """Look at images of one size, all at once; all tasks share the encoding.

        Args:
            images: Each (H, W, 3), uint8, RGB.
            tasks: What to predict.
            stretch: Stretch the depth of each image to 0..1, as E2E-FT does. This makes a video flicker.
            synchronize: Wait for the GPU after each stage, so that each duration covers its own stage.

        Returns:
            An estimate for each image.

        Raises:
            InvalidInputError: The images are not as above, or the checkpoint doesn't predict a task.
        """
        self._check(images, tasks)
        wanted = tuple(task for task in Task if task in tasks)
        native_size = (images[0].shape[0], images[0].shape[1])
        framing = framing_for(native_size, self.processing_resolution, self.facts.down_factor)
        request = Request(
            wanted,
            framing,
            self.upsampling,
            batch=self._batch(framing),
            stretch=stretch,
            synchronize=synchronize,
        )
        return self.engine.run(images, request)

    def warm_up(self, native_size: tuple[int, int], tasks: Collection[Task] = (Task.DEPTH,)) -> None:
        """Look at a grey image, if the first real one would wait for what the engine prepares.

        Args:
            native_size: (H, W) of the images to come.
            tasks: What will be asked of them.
        """
        if self.engine.prepares:
            self.estimate(np.full((*native_size, 3), 128, np.uint8), tasks=tasks)
            self.forget_last_frame()

    def forget_last_frame(self) -> None:
        """Carry nothing over to the next frame (see `Sampling.carry`): it belongs to another scene."""
        self.engine.forget_last_frame()

    def _batch(self, framing: Framing) -> int:
        """Return how many images or members fit into the memory of one pass, at least one."""
        height, width = framing.padded_size
        bytes_each = self.facts.activation_floats * height * width * self.engine.bytes_per_number
        return batch_that_fits(bytes_each, self.batch_memory_mb)

    def _check(self, images: Sequence[NDArray[np.uint8]], tasks: Collection[Task]) -> None:
        if not images:
            raise InvalidInputError("expected at least one image, got none")
        if not tasks:
            raise InvalidInputError("expected at least one task, got none")
        if not all(isinstance(task, Task) for task in tasks):
            raise InvalidInputError(f"expected tasks that are each a Task, got {tasks!r}")
        absent = [task.value for task in Task if task in tasks and task not in self.tasks]
        if absent:
            raise InvalidInputError(
                f"checkpoint {self.facts.name} predicts {' and '.join(sorted(t.value for t in self.tasks))}; "
                f"{' and '.join(absent)} was asked for"
            )
        for image in images:
            if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
                found = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
                raise InvalidInputError(f"expected an RGB image of uint8 (H, W, 3), got {found}")
            if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
                raise InvalidInputError(f"expected an RGB image of shape (H, W, 3), got {image.shape}")
            if image.shape != images[0].shape:
                raise InvalidInputError(
                    f"expected images of one size, got {images[0].shape[:2]} and {image.shape[:2]}"
                )
