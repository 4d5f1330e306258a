"""A process that times one way to run a network, at another process's word; see `engine_comparison`.

It reads a command in JSON from each line of stdin, and answers in JSON on a line of stdout.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from e2e_depth_ros.core.errors import E2EDepthError

DIFFUSERS: Final = "diffusers"
"""The way that is not ours: diffusers' Marigold pipeline, which E2E-FT's authors use."""

Map = NDArray[np.float32]


def shown_of(tasks: Iterable[str]) -> str:
    """Return the task of which a network that predicts these is asked first: depth, where it has it."""
    return "depth" if "depth" in tasks else "normals"


def main() -> int:
    """Load what the first line asks for, then time it until stdin ends."""
    begin = time.perf_counter()
    # What libraries print must not get between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    wanted = json.loads(sys.stdin.readline())
    image = np.load(wanted["image"])
    look, tasks, place = (
        _diffusers(wanted, image) if wanted["engine"] == DIFFUSERS else _engine(wanted, image)
    )
    shown = [shown_of(tasks)]
    look(shown)

    def answer(content: Mapping[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    answer(
        {"first_s": time.perf_counter() - begin, "tasks": tasks, "place": place, "memory_mb": _memory_mb()}
    )
    for line in sys.stdin:
        asked = json.loads(line)
        if "save" in asked:
            np.save(asked["save"], look(shown))
            answer({})
            continue
        laps = []
        for _ in range(asked["frames"]):
            start = time.perf_counter()
            look(asked["tasks"])
            laps.append(time.perf_counter() - start)
        answer({"laps_s": laps, "memory_mb": _memory_mb()})
    return 0


def _engine(
    wanted: Mapping[str, Any], image: NDArray[np.uint8]
) -> tuple[Callable[..., Map], list[str], dict[str, Any]]:
    from dataclasses import asdict  # noqa: PLC0415

    from e2e_depth_ros.model.estimator import Estimator  # noqa: PLC0415 - its time counts
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    names = ("engine", "device", "dtype", "num_threads", "processing_resolution", "compiled")
    estimator = Estimator.load(wanted["model"], **{name: wanted[name] for name in names})

    def look(tasks: list[str]) -> Map:
        estimate = estimator.estimate(image, tasks=[Task(task) for task in tasks])
        found = estimate.normals if estimate.depth is None else estimate.depth
        return np.zeros(0, np.float32) if found is None else found.values

    return look, [task.value for task in estimator.tasks], asdict(estimator.place)


def _diffusers(
    wanted: Mapping[str, Any], image: NDArray[np.uint8]
) -> tuple[Callable[..., Map], list[str], dict[str, Any]]:
    """Run the pipeline as its users do: one step, depth alone, the result at the image's size."""
    import torch  # noqa: PLC0415
    from diffusers import DDIMScheduler, MarigoldDepthPipeline  # noqa: PLC0415

    from e2e_depth_ros.model.checkpoint.locate import find_checkpoint  # noqa: PLC0415
    from e2e_depth_ros.model.checkpoint.prompt import prompt_embeddings  # noqa: PLC0415
    from e2e_depth_ros.model.families.registry import read_facts  # noqa: PLC0415
    from e2e_depth_ros.model.placement import device_named, dtype_named  # noqa: PLC0415
    from e2e_depth_ros.model.task import Task  # noqa: PLC0415

    folder = find_checkpoint(wanted["model"])
    device = device_named(wanted["device"])
    dtype = dtype_named(wanted["dtype"], device)
    if wanted["num_threads"]:
        torch.set_num_threads(wanted["num_threads"])
    facts = read_facts(folder)
    if Task.DEPTH not in facts.tasks:
        raise E2EDepthError(
            "expected a model of depth for diffusers' MarigoldDepthPipeline, got one of normals"
        )
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler", timestep_spacing="trailing")
    is_half = any(Path(folder / "unet").glob("*.fp16.*"))
    pipeline = MarigoldDepthPipeline.from_pretrained(
        folder,
        scheduler=scheduler,
        text_encoder=None,
        tokenizer=None,
        torch_dtype=dtype,
        variant="fp16" if is_half else None,
    ).to(device)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.empty_text_embedding = prompt_embeddings(facts, padded=False)[Task.DEPTH].to(device, dtype)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    resolution = wanted["processing_resolution"]

    def look(_tasks: list[str]) -> Map:
        # Where E2E-FT starts: the pipeline's own noise would be Marigold's.
        found = pipeline(
            pixels.to(device, dtype),
            num_inference_steps=1,
            processing_resolution=facts.processing_resolution if resolution is None else resolution,
            latents=latents(),
        )
        return np.asarray(found.prediction, np.float32).reshape(image.shape[:2])

    def latents() -> Any:
        from e2e_depth_ros.core.framing import framing_for  # noqa: PLC0415

        longer = facts.processing_resolution if resolution is None else resolution
        height, width = framing_for(image.shape[:2], longer, facts.down_factor).padded_size
        size = (1, facts.latent_channels, height // facts.down_factor, width // facts.down_factor)
        return torch.zeros(size, dtype=dtype, device=device)

    place = {"engine": DIFFUSERS, "device": str(device), "precision": str(dtype).removeprefix("torch.")}
    return look, ["depth"], {**place, "threads": torch.get_num_threads() if device.type == "cpu" else None}


def _memory_mb() -> dict[str, float]:
    memory = {"process, peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        memory["GPU, peak"] = torch.cuda.max_memory_allocated() / 1e6
    return memory


if __name__ == "__main__":
    try:
        sys.exit(main())
    except E2EDepthError as wrong:
        sys.exit(str(wrong))  # the last line is what the comparison tells
