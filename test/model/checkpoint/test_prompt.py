from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel

from e2e_depth_ros.core.errors import CheckpointError, MissingDependencyError
from e2e_depth_ros.model.checkpoint.locate import PROMPT_FILE
from e2e_depth_ros.model.checkpoint.prompt import prompt_embeddings
from e2e_depth_ros.model.families.registry import read_facts
from e2e_depth_ros.model.task import Task
from helpers.broken import refused

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tiny_checkpoint: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    source = tiny_checkpoint("marigold_depth")
    return shutil.copytree(source, tmp_path / "checkpoint", ignore=shutil.ignore_patterns(PROMPT_FILE))


def _empty(folder: Path, *, padded: bool = False) -> torch.Tensor:
    return prompt_embeddings(read_facts(folder), padded=padded)[Task.DEPTH]


def test_encodes_begin_and_end(folder: Path) -> None:
    text_encoder = CLIPTextModel.from_pretrained(folder / "text_encoder").eval()
    with torch.no_grad():
        expected = text_encoder(torch.tensor([[512, 513]]))[0]  # begin and end are the last of the vocabulary
        padded = text_encoder(torch.tensor([[512] + [513] * 76]))[0]
    torch.testing.assert_close(_empty(folder), expected)
    torch.testing.assert_close(_empty(folder, padded=True), padded)
    assert set(load_file(folder / PROMPT_FILE)) == {"empty", "empty_padded"}


def test_needs_no_text_encoder_after_the_first_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _empty(folder)
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert torch.equal(_empty(folder), first)
    shutil.rmtree(folder / "text_encoder")
    shutil.rmtree(folder / "tokenizer")
    assert torch.equal(_empty(folder), first)
    with pytest.raises(CheckpointError, match=r"expected prompt_embedding\.safetensors with 'empty_padded'"):
        _empty(folder, padded=True)


def test_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingDependencyError, match="pip install transformers"):
        _empty(folder)


def test_another_text_encoder_is_encoded_again(folder: Path) -> None:
    first = _empty(folder)
    weights = folder / "text_encoder" / "model.safetensors"
    tensors = {name: tensor + 0.1 for name, tensor in load_file(weights).items()}
    save_file(tensors, weights, {"format": "pt"})
    assert not torch.allclose(_empty(folder), first)


def test_a_read_only_folder_is_served_from_the_user_s_cache(
    folder: Path, request: pytest.FixtureRequest
) -> None:
    folder.chmod(0o555)
    try:
        if os.access(folder, os.W_OK):
            _run_without_privilege(request.node.nodeid)
            return
        first = _empty(folder)
        assert not (folder / PROMPT_FILE).exists()
        assert torch.equal(_empty(folder), first)
    finally:
        folder.chmod(0o755)


def _run_without_privilege(test: str) -> None:
    """Run a test as a root that must heed the permissions of files."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("root writes into read-only folders, and there is no setpriv to take that away")
    command = [
        setpriv,
        "--bounding-set=-dac_override",
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run([*command, test], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert "1 passed" in result.stdout


def test_the_user_s_cache_is_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / PROMPT_FILE).mkdir()  # no file can be written there, not even by root
    first = _empty(folder)
    stored = list((tmp_path / "cache").rglob("*.safetensors"))
    assert len(stored) == 1
    monkeypatch.setitem(sys.modules, "transformers", None)
    assert torch.equal(_empty(folder), first)


def test_each_task_has_its_own(tiny_checkpoint: Callable[..., Path]) -> None:
    folder = tiny_checkpoint("embedded")
    found = prompt_embeddings(read_facts(folder))
    stored = load_file(folder / PROMPT_FILE)
    assert set(found) == set(Task)
    assert all(torch.equal(found[task], stored[task.value]) for task in Task)
    assert not torch.equal(found[Task.DEPTH], found[Task.NORMALS])


@pytest.mark.parametrize(
    ("embedding", "message"),
    [
        (torch.zeros(1, 2, 13), r"\(1, 1\.\.1024, 12\), got \(1, 2, 13\)"),
        (torch.full((1, 2, 12), torch.nan), "not finite"),
    ],
)
def test_refuses_an_embedding_that_does_not_fit(folder: Path, embedding: torch.Tensor, message: str) -> None:
    save_file({"empty": embedding}, folder / PROMPT_FILE)
    with pytest.raises(CheckpointError, match=message):
        _empty(folder)


def test_refuses_a_text_encoder_that_was_cut_off(folder: Path) -> None:
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match=r"text_encoder/model\.safetensors: expected a whole"):
        _empty(folder)


def test_refuses_prompts_that_ask_for_all_memory(
    tiny_checkpoint: Callable[..., Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_checkpoint("embedded"), tmp_path / "checkpoint")
    path = folder / "prompt_embedding.safetensors"
    for embedding, message in (
        (torch.zeros(1, 100_000, 12), r"shape \(1, 1\.\.1024, 12\), got \(1, 100000, 12\)"),
        (torch.zeros(1, 0, 12), r"got \(1, 0, 12\)"),
        (torch.full((1, 2, 12), 1e30), "values of up to 1e.30"),
        (torch.zeros(1, 2, 12, dtype=torch.int32), "got I32"),
    ):
        save_file({"depth": embedding, "normals": embedding.clone()}, path)
        refused(folder, f"prompt_embedding.*{message}")
