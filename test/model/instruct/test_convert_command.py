"""`e2e-depth checkpoint convert`."""

from __future__ import annotations

import json

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
    assert (tmp_path / "out" / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    assert main(["checkpoint", "convert", *arguments]) == 2
    assert "new or empty folder" in capsys.readouterr().err


def test_a_wrong_source_is_one_line(tmp_path, capsys):
    assert main(["checkpoint", "convert", str(tmp_path / "a.ckpt"), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "a.ckpt: expected a .ckpt or .safetensors file" in error
