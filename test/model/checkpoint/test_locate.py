from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import pytest
import torch

from e2e_depth_ros.core.errors import CheckpointError, InvalidInputError
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE, _wanted, find_checkpoint
from e2e_depth_ros.model.families.registry import load_checkpoint

_COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, with the network switched off."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return cache


def _cached(cache: Path, source: Path, revision: str = "main") -> Path:
    repository = cache / "models--org--tiny"
    snapshot = repository / "snapshots" / _COMMIT
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / revision).write_text(_COMMIT)
    return shutil.copytree(source, snapshot)


def test_finds_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_checkpoint(tmp_path) == tmp_path
    (tmp_path / "org" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_checkpoint("org/name") == Path("org/name")  # a folder goes before a hub id


def test_finds_what_the_hub_s_cache_holds(hub_cache: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    snapshot = _cached(hub_cache, tiny_checkpoint("marigold_depth"))
    assert find_checkpoint("org/tiny") == snapshot
    assert find_checkpoint("org/tiny", revision=_COMMIT) == snapshot
    assert find_checkpoint(f"org/tiny@{_COMMIT}") == snapshot


def test_a_revision_that_is_not_cached_is_not_replaced(
    hub_cache: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    _cached(hub_cache, tiny_checkpoint("marigold_depth"))
    with pytest.raises(CheckpointError, match="isn't in the cache, and downloads are switched off"):
        find_checkpoint("org/tiny@v2")


def test_half_of_a_download_is_not_used(hub_cache: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    snapshot = _cached(hub_cache, tiny_checkpoint("marigold_depth"))
    (snapshot / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError) as refusal:
        find_checkpoint("org/tiny")
    assert str(refusal.value) == (
        f"org/tiny: {snapshot}/vae: expected diffusion_pytorch_model.safetensors, found no weights, "
        "and downloads are switched off (HF_HUB_OFFLINE)"
    )
    (snapshot / "scheduler" / "scheduler_config.json").unlink()
    with pytest.raises(
        CheckpointError, match=r"scheduler_config\.json missing, and downloads are switched off"
    ):
        find_checkpoint("org/tiny")


@pytest.mark.parametrize(
    ("component", "name"),
    [
        ("unet", "model.safetensors"),
        ("unet", "diffusion_pytorch_model.non_ema.safetensors"),
        ("vae", "diffusion_pytorch_model.bf16.safetensors"),
        ("text_encoder", "model.non_ema.safetensors"),
    ],
)
def test_finds_weights_under_other_names(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path, component: str, name: str
) -> None:
    folder = shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "depth")
    weights = next((folder / component).glob("*.safetensors"))
    weights.rename(weights.with_name(name))
    assert load_checkpoint(folder).facts.name == "depth"


def test_names_weights_that_it_does_not_take(tiny_checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint("marigold_depth"), tmp_path / "depth")
    weights = next((folder / "unet").glob("*.safetensors"))
    weights.rename(weights.with_name("unet_ema.safetensors"))
    with pytest.raises(
        CheckpointError, match=r"unet: expected .*, got only unet_ema\.safetensors; rename it"
    ):
        load_checkpoint(folder)


def test_a_file_is_no_hub_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "log.jsonl").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CheckpointError, match="that is a file"):
        find_checkpoint("runs/log.jsonl")


@pytest.mark.parametrize("name", ["no_such_name", "/no/such/folder", "a/b/c", "org/name@"])
def test_refuses_what_is_neither_folder_nor_hub_id(name: str) -> None:
    with pytest.raises(CheckpointError, match="'embedded', a folder, or a hub id"):
        find_checkpoint(name)


def test_refuses_a_revision_twice_or_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="got 'a' and 'b'"):
        find_checkpoint("org/name@a", revision="b")
    with pytest.raises(InvalidInputError, match="only with a hub id"):
        find_checkpoint(tmp_path, revision="a")


def test_downloads_one_variant_and_no_pickle() -> None:
    files = [
        "README.md",
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/merges.txt",
        "text_encoder/model.safetensors",
        "text_encoder/pytorch_model.bin",
        "unet/config.json",
        "unet/diffusion_pytorch_model.bin",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "vae/diffusion_pytorch_model.safetensors.index.json",
        "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
        "vae/diffusion_pytorch_model-00002-of-00002.safetensors",
        "vae/diffusion_pytorch_model-00001-of-00002.fp16.safetensors",
        "safety_checker/model.safetensors",
    ]
    both = {
        "model_index.json",
        "scheduler/scheduler_config.json",
        "tokenizer/merges.txt",
        "text_encoder/model.safetensors",
        "unet/config.json",
        "vae/diffusion_pytorch_model.safetensors.index.json",
        "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
        "vae/diffusion_pytorch_model-00002-of-00002.safetensors",
    }
    single, half = _wanted(files, torch.float32), _wanted(files, torch.float16)
    assert set(single) == both | {"unet/diffusion_pytorch_model.safetensors"}
    assert set(half) == both | {"unet/diffusion_pytorch_model.fp16.safetensors"}


def test_downloads_of_another_layout_only_what_names_it() -> None:
    assert _wanted(["README.md", "config.json", "model.safetensors"], torch.float32) == ["config.json"]
    assert _wanted(["README.md", "weights.pth"], torch.float32) == []


def test_downloads_the_image_encoder_of_geowizard() -> None:
    files = [
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet_v2/diffusion_pytorch_model.safetensors",
        "image_encoder/config.json",
        "image_encoder/model.safetensors",
        "image_encoder/model.fp16.safetensors",
        "image_encoder/pytorch_model.bin",
        "feature_extractor/preprocessor_config.json",
    ]
    assert set(_wanted(files, torch.float32)) == {
        "model_index.json",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "image_encoder/config.json",
        "image_encoder/model.safetensors",
        "feature_extractor/preprocessor_config.json",
    }


def test_half_of_geowizard_is_not_used(hub_cache: Path, tiny_checkpoint: Callable[..., Path]) -> None:
    snapshot = _cached(hub_cache, tiny_checkpoint("geowizard_v1"))
    assert find_checkpoint("org/tiny") == snapshot
    (snapshot / "image_encoder" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"image_encoder: expected model\.safetensors"):
        find_checkpoint("org/tiny")


@pytest.mark.parametrize("missing", ["text_encoder/model.safetensors", "tokenizer/vocab.json"])
def test_a_stored_prompt_serves_as_well_as_its_encoder(
    hub_cache: Path, tiny_checkpoint: Callable[..., Path], missing: str
) -> None:
    snapshot = _cached(hub_cache, tiny_checkpoint("marigold_depth"))
    (snapshot / PROMPT_FILE).unlink(missing_ok=True)  # whoever loads the checkpoint leaves one there
    (snapshot / missing).unlink()
    part, _, name = missing.partition("/")
    with pytest.raises(CheckpointError, match=rf"{part}: expected {name}"):
        find_checkpoint("org/tiny")
    shutil.copy(tiny_checkpoint("embedded") / PROMPT_FILE, snapshot)
    assert find_checkpoint("org/tiny") == snapshot


def test_an_encoder_that_only_the_index_names_is_missed(
    hub_cache: Path, tiny_checkpoint: Callable[..., Path]
) -> None:
    snapshot = _cached(hub_cache, tiny_checkpoint("marigold_depth"))
    index = json.loads((snapshot / "model_index.json").read_text())
    index["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
    (snapshot / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"image_encoder: expected model\.safetensors"):
        find_checkpoint("org/tiny")
