import json
import shutil

import cv2
import numpy as np
import pytest

from e2e_depth_ros.cli.main import main


def test_inspect_prints_the_facts_as_json(tiny_checkpoint, capsys):
    assert main(["checkpoint", "inspect", str(tiny_checkpoint()), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tasks"] == ["depth", "normals"]
    assert facts["latent channels"] == 8
    assert facts["UNet input channels"] == 16
    assert facts["down factor"] == 4
    assert facts["parameters"]["total"] == facts["parameters"]["unet"] + facts["parameters"]["vae"]
    assert facts["family"] == "one deterministic step (E2E-FT)"
    assert facts["steps"] == 1
    megabytes = facts["weights MB"]
    assert megabytes["float32"] == pytest.approx(facts["parameters"]["total"] * 4e-6, abs=0.05)
    assert megabytes["float16"] == megabytes["bfloat16"] < megabytes["float32"]
    assert set(facts["file MB"]) == set(facts["sha256"])
    assert set(facts["sha256"]) >= {"model_index.json", "prompt_embedding.safetensors"}


def test_inspect_prints_a_table(tiny_checkpoint, capsys):
    assert main(["checkpoint", "inspect", str(tiny_checkpoint())]) == 0
    text = capsys.readouterr().out
    assert "affine-invariant" in text
    assert "depth, normals" in text


def test_the_table_shows_whole_hashes_however_narrow_the_terminal(tiny_checkpoint, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    folder = str(tiny_checkpoint("marigold_depth"))
    assert main(["checkpoint", "inspect", folder, "--json"]) == 0
    hashes = json.loads(capsys.readouterr().out)["sha256"]
    assert main(["checkpoint", "inspect", folder]) == 0
    text = capsys.readouterr().out
    assert len(hashes) > 5
    for name, digest in hashes.items():
        assert f"{name}: {digest}\n" in text


def test_the_task_is_given_where_the_layout_is_silent(tiny_checkpoint, tmp_path, capsys):
    folder, saying = tiny_checkpoint("e2e_ft_normals"), str(tiny_checkpoint("marigold_depth"))
    folder = shutil.copytree(folder, tmp_path / "tuned")
    capsys.readouterr()
    for action in ("inspect", "verify"):
        assert main(["checkpoint", action, str(folder)]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert "--task" in error
        assert main(["checkpoint", action, str(folder), "--task", "normals", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["tasks"] == ["normals"]
    assert main(["checkpoint", "inspect", saying, "--task", "normals"]) == 2
    assert "expected task auto, depth, got normals" in capsys.readouterr().err


def test_loading_shows_no_bar_of_another_library(tiny_checkpoint, capfd):
    folder = str(tiny_checkpoint("marigold_depth"))
    capfd.readouterr()
    assert main(["checkpoint", "verify", folder, "--json"]) == 0
    assert capfd.readouterr().err == ""


def test_verify_counts_the_tensors(tiny_checkpoint, capsys):
    assert main(["checkpoint", "verify", str(tiny_checkpoint()), "--json"]) == 0
    assert "all present" in json.loads(capsys.readouterr().out)["verified"]


def test_verify_names_the_truncated_file(tiny_checkpoint, tmp_path, capsys):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_checkpoint(), folder)
    weights = next((folder / "unet").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-100])
    capsys.readouterr()
    assert main(["checkpoint", "verify", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert weights.name in error


def test_missing_folder_is_one_line(tmp_path, capsys):
    assert main(["checkpoint", "inspect", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_inspect_tells_a_diffusion_model(tiny_checkpoint, capsys):
    assert main(["checkpoint", "inspect", str(tiny_checkpoint("marigold_depth_v1_1")), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] == "diffusion from noise (Marigold)"
    assert facts["steps"] == 4
    assert set(facts["sha256"]) >= {"text_encoder/model.safetensors", "tokenizer/vocab.json"}


def test_verify_compares_with_a_record(tiny_checkpoint, tmp_path, capsys):
    folder, record = tmp_path / "copy", tmp_path / "record.json"
    shutil.copytree(tiny_checkpoint(), folder)
    assert main(["checkpoint", "inspect", str(folder), "--json"]) == 0
    record.write_text(capsys.readouterr().out)
    assert main(["checkpoint", "verify", str(folder), "--against", str(record), "--json"]) == 0
    assert "as recorded" in json.loads(capsys.readouterr().out)["files"]
    index = folder / "model_index.json"
    index.write_text(index.read_text().replace("96", "64"))
    assert main(["checkpoint", "verify", str(folder), "--against", str(record)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "model_index.json changed" in error
    record.write_text("{}")
    assert main(["checkpoint", "verify", str(folder), "--against", str(record)]) == 2
    assert "sha256 of each file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("layout", "arguments", "message"),
    [
        ("marigold_normals_v1_1", ["--align"], "normals"),
        ("embedded", ["--steps", "4"], "one deterministic step: expected steps 1, got 4"),
        ("embedded", ["--ensemble", "5"], "one deterministic step: expected an ensemble of 1, got 5"),
        ("e2e_ft_depth", ["--carry", "0.1"], "expected a share carried over of 0, got 0.1"),
        ("marigold_depth_lcm", ["--steps", "60"], "1 to 50 denoising steps, got 60"),
        ("marigold_depth_lcm", ["--spacing", "leading"], "timesteps of its own"),
        ("marigold_depth_v1_0", ["--steps", "0"], "at least 1 denoising step, got 0"),
        ("marigold_depth_v1_0", ["--steps", "2000"], "1 to 1000 denoising steps, got 2000"),
        ("marigold_depth_v1_0", ["--noise-seed", "-2"], "a seed of 0 to"),
    ],
)
def test_wrong_mixtures_are_one_line(tiny_checkpoint, tmp_path, capsys, layout, arguments, message):
    image = tmp_path / "image.png"
    cv2.imwrite(str(image), np.zeros((8, 12, 3), np.uint8))
    out = str(tmp_path / "out")
    model = str(tiny_checkpoint(layout))
    capsys.readouterr()
    assert main(["predict", str(image), "--output", out, "--model", model, *arguments]) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if message in line]
    assert len(errors) == 1
