import json
import shutil

from e2e_depth_ros.cli.main import main


def test_inspect_prints_the_facts_as_json(tiny_checkpoint, capsys):
    assert main(["checkpoint", "inspect", str(tiny_checkpoint()), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["tasks"] == ["depth", "normals"]
    assert facts["latent channels"] == 8
    assert facts["UNet input channels"] == 16
    assert facts["down factor"] == 4
    assert facts["parameters"]["total"] == facts["parameters"]["unet"] + facts["parameters"]["vae"]
    assert set(facts["sha256"]) >= {"model_index.json", "prompt_embedding.safetensors"}


def test_inspect_prints_a_table(tiny_checkpoint, capsys):
    assert main(["checkpoint", "inspect", str(tiny_checkpoint())]) == 0
    text = capsys.readouterr().out
    assert "affine-invariant" in text
    assert "depth, normals" in text


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
