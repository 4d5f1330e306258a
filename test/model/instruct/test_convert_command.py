"""`e2e-depth checkpoint convert`."""

from __future__ import annotations

import json
import shutil

from e2e_depth_ros.cli.main import main


def test_it_writes_the_folder_and_accounts_for_the_tensors(converted, tmp_path, capsys):
    arguments = [str(converted.source), str(tmp_path / "out"), "--tokenizer", str(converted.tokenizer)]
    assert main(["checkpoint", "convert", *arguments, "--dtype", "float16", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary == {
        "folder": str(tmp_path / "out"),
        "tensors written": converted.conversion.written,
        "of these moving averages": 0,
        "unused": [],
    }
    assert (tmp_path / "out" / "unet" / "diffusion_pytorch_model.safetensors").is_file()
    assert main(["checkpoint", "convert", *arguments]) == 2
    assert "new or empty folder" in capsys.readouterr().err


def test_a_wrong_source_is_one_line(tmp_path, capsys):
    assert main(["checkpoint", "convert", str(tmp_path / "a.ckpt"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a.ckpt: expected a .ckpt or .safetensors file" in error


def test_inspect_and_verify_know_what_was_converted(converted, tmp_path, capsys):
    assert main(["checkpoint", "inspect", str(converted.folder), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] == "painting by instruction (InstructDiffusion)"
    assert facts["tasks"] == ["instructed image"]
    assert (facts["steps"], facts["processing resolution"], facts["UNet input channels"]) == (100, 512, 8)
    counts = {
        "unet": sum(p.numel() for p in converted.original.unet.parameters()),
        "vae": sum(p.numel() for p in converted.original.vae.parameters()),
        "text_encoder": sum(p.numel() for p in converted.original.text_encoder.parameters()),
    }
    assert facts["parameters"] == {**counts, "total": sum(counts.values())}
    assert {"tokenizer/merges.txt", "text_encoder/model.safetensors", "model_index.json"} <= set(
        facts["sha256"]
    )

    (tmp_path / "record.json").write_text(json.dumps(facts))
    arguments = ["checkpoint", "verify", str(converted.folder), "--against", str(tmp_path / "record.json")]
    assert main([*arguments, "--json"]) == 0
    verified = json.loads(capsys.readouterr().out)["verified"]
    assert verified.startswith(f"{converted.conversion.written} tensors")


def test_verify_names_what_is_broken(converted, tmp_path, capsys):
    folder = tmp_path / "broken"
    shutil.copytree(converted.folder, folder)
    weights = folder / "text_encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert main(["checkpoint", "verify", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "text_encoder/model.safetensors" in error
