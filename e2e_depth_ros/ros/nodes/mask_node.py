"""The mask node: paints an instruction into an image now and then, and publishes where the paint is.

It is a node of its own, in a process of its own: to paint takes seconds, in which Python and the processor
are busy, and depth must not wait.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus

from e2e_depth_ros.core.errors import InvalidInputError
from e2e_depth_ros.ros.declarations.mask_parameters import MaskParameters
from e2e_depth_ros.ros.declarations.topics import MaskOutput
from e2e_depth_ros.ros.inputs.image_reader import ImageReader
from e2e_depth_ros.ros.messages.images import message_from_array
from e2e_depth_ros.ros.messages.refusal import RefusedMessageError
from e2e_depth_ros.ros.nodes.image_node import ImageNode
from e2e_depth_ros.ros.outputs.publishers import OutputPublishers
from e2e_depth_ros.ros.telling.diagnostics import make_status


class _InterruptedError(Exception):
    """The node stops while it paints."""


class MaskNode(ImageNode[MaskParameters]):
    """Masks what an instruction names; see `ImageNode`.

    An image is begun with at most once in each `period`: the first that comes when the time is over, or, if
    painting takes longer than that, the newest that came meanwhile.
    """

    def __init__(self, **options: Any) -> None:
        """Declare parameters, services and diagnostics, and stand back behind other processes.

        Args:
            options: Of rclpy's Node.

        Raises:
            InvalidInputError: A parameter has a bad value.
        """
        self._painter: Any = None
        self._outputs: OutputPublishers[MaskOutput] | None = None
        self._interrupted = threading.Event()
        self._begun_s = -np.inf
        self._images = ImageReader()
        self._last: dict[str, str] = {}
        super().__init__("mask", MaskParameters(), **options)
        os.setpriority(os.PRIO_PROCESS, 0, max(self.parameters.niceness, os.getpriority(os.PRIO_PROCESS, 0)))

    def _load(self) -> Any:
        # Torch takes seconds to import: not before a model is wanted.
        from e2e_depth_ros.model.instruct.painter import Painter  # noqa: PLC0415

        wanted = self.parameters
        if not wanted.model:
            raise InvalidInputError(
                "parameter model: expected a checkpoint that paints by instruction, got none; "
                "`e2e-depth checkpoint convert` makes one"
            )
        painter = Painter.load(wanted.model, steps=wanted.denoising_steps or None, **wanted.loading)
        painter.text_encoder(self._instruction())  # too long a one is told here rather than at each image
        return painter

    def _offer(self, model: Any) -> Mapping[str, Any]:
        self._painter = painter = model
        wanted = self.parameters
        self._outputs = OutputPublishers(
            self,
            MaskOutput,
            overrides=self._qos_overrides,
            reliability=wanted.output_reliability,
            queue_size=wanted.output_queue_size,
            group=self._group,
        )
        return {
            "model": painter.name,
            "device": str(painter.device),
            "dtype": str(painter.network.unet.dtype).removeprefix("torch."),
            "processing_resolution": painter.processing_resolution,
            "denoising_steps": painter.steps,
        }

    def _unload(self) -> None:
        if self._outputs is not None:
            self._outputs.destroy()
        self._outputs = self._painter = None
        self._images = ImageReader()
        self._last = {}

    def _start(self) -> None:
        self._interrupted.clear()
        self._begun_s = -np.inf
        super()._start()

    def _interrupt(self) -> None:
        self._interrupted.set()

    def _is_due(self) -> bool:
        return time.monotonic() - self._begun_s >= self.parameters.period

    def _instruction(self) -> str:
        from e2e_depth_ros.model.instruct.painter import mask_instruction  # noqa: PLC0415 - brings torch

        wanted = self.parameters
        return wanted.instruction or mask_instruction(wanted.object, wanted.color)

    def _process(self, image: Any) -> Callable[[], None] | None:
        from e2e_depth_ros.model.instruct.network import Guidance  # noqa: PLC0415 - brings torch

        outputs, statistics, wanted = self._outputs, self._statistics, self.parameters
        if outputs is None or not outputs.wanted():
            statistics.skipped()
            return None
        rgb = self._images.rgb(image, wanted)
        self._begun_s = begun_s = time.monotonic()
        instruction = self._instruction()
        try:
            mask = self._painter.segment(
                rgb,
                wanted.object,
                colour=wanted.color,
                instruction=instruction,
                guidance=Guidance(wanted.text_guidance, wanted.image_guidance),
                threshold=wanted.mask_threshold,
                seed=wanted.noise_seed,
                on_step=self._check_interruption,
            )
        except _InterruptedError:
            return None
        self._last = {
            "instruction": instruction,
            "masked_share": f"{mask.values.mean():.4f}",
            "unexplained": f"{mask.unexplained:.4f}",
            "noise": f"{mask.noise:.2f}",
        }
        if mask.unexplained > wanted.max_unexplained:
            raise RefusedMessageError(
                "mask: unexplained",
                f"expected at most max_unexplained = {wanted.max_unexplained:g} of the pixels, "
                f"got {mask.unexplained:.3f} changed otherwise than told",
            )
        values = mask.values.astype(np.uint8) * np.uint8(255)
        message = message_from_array(values, MaskOutput.MASK.content, image.header)

        def publish() -> None:
            outputs.publish({MaskOutput.MASK: message})
            durations_s = {"paint": time.monotonic() - begun_s}
            statistics.processed([MaskOutput.MASK.value], durations_s, self._age_s(image.header), 0)

        return publish

    def _check_interruption(self, _: int) -> None:
        if self._interrupted.is_set():
            raise _InterruptedError

    def _statuses(self) -> list[DiagnosticStatus]:
        words = "last mask" if self._last else "no mask yet"
        mask = make_status(f"{self._name}: mask", DiagnosticStatus.OK, words, self._last)
        return [self._images.status(self._name), mask]
