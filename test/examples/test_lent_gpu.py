"""The lent GPU, rehearsed on the CPU: pieces there, weights back, and nothing lost on the way."""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import yaml

from e2e_depth_ros.model.families.registry import load_checkpoint
from e2e_depth_ros.model.task import Task
from e2e_depth_ros.training.recipe import read_recipe, recipe_from_mapping
from e2e_depth_ros.training.shards import Sample, write_shard
from helpers.processors import need_bfloat16_attention

LENT = Path(__file__).parents[2] / "examples" / "lent_gpu"
LIMIT_MB = 0.6
SIZE = (48, 64)
WHEEL = "lent_probe-1.0-py3-none-any.whl"


@pytest.fixture(scope="module", autouse=True)
def _scripts_find_each_other():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(LENT)
        yield


def sample(seed):
    """Noise, which no compression makes small."""
    rng = np.random.default_rng(seed)
    normals = rng.normal(size=(*SIZE, 3)) - (0, 0, 2)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    image = rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    depth_m = rng.uniform(1, 9, SIZE).astype(np.float32)
    return Sample(image, depth_m, normals.astype(np.float32), focal_px=50.0, kind="room", scene=seed)


def recipe_of(folder, start):
    return {
        "model": {"name": "lent", "start": str(start), "processing_resolution": 64},
        "data": {
            "train": [
                {"shards": str(folder / "many" / "**" / "*.npz")},
                {"shards": str(folder / "few/*.npz")},
            ],
            "validation": [{"shards": str(folder / "validation" / "*.npz")}],
            "sizes": [{"height": 48, "width": 64}],
            "batch_size": 2,
            "resident": True,
            "watch_seconds": 0.2,
        },
        "loss": {"depth": {"weight": 1.0}, "normals": {"weight": 0.4}},
        "optimiser": {"steps": 1000, "learning_rate": 1e-4},
        "run": {"threads": 1, "log_seconds": 0.3, "checkpoint_minutes": 0.03},
    }


@pytest.fixture(scope="module")
def packed(tmp_path_factory, tiny_checkpoint):
    """The folder that travels: a pack in pieces of at most 0.6 MB."""
    from lent import main

    folder = tmp_path_factory.mktemp("lent")
    for name, shards in (("many/a", 7), ("many/b", 7), ("few", 3), ("validation", 1)):
        (folder / name).mkdir(parents=True)
        for index in range(shards):
            write_shard(folder / name / f"shard-{index}.npz", [sample(10 * index + k) for k in range(3)])
    (folder / "wheels").mkdir()
    with zipfile.ZipFile(folder / "wheels" / WHEEL, "w") as wheel:
        wheel.writestr("lent_probe/data.bin", np.random.default_rng(0).bytes(1_000_000))
    (folder / "r.yaml").write_text(yaml.safe_dump(recipe_of(folder, tiny_checkpoint())), encoding="utf-8")
    options = ["--piece-mb", str(LIMIT_MB), "--wheels", str(folder / "wheels")]
    assert main(["pack", str(folder / "r.yaml"), "--output", str(folder / "away"), *options]) == 0
    return folder / "away"


def test_page_says_the_limits():
    import lent
    import packing
    import running

    page = (LENT / "README.md").read_text(encoding="utf-8").replace("\n", " ")
    assert f"in files of at most {lent.PIECE_MB:g} MB, the weights come back in files of at most" in page
    assert f"at most {running.BACK_MB:g} MB" in page
    assert f"a checkpoint every {packing.CHECKPOINT_MINUTES:g} minutes or more often" in page


def test_recipe_is_made_for_a_gpu_that_may_go(packed):
    from packing import _packed_recipe

    mapping = yaml.safe_load((packed.parent / "r.yaml").read_text(encoding="utf-8"))
    del mapping["data"]["resident"], mapping["data"]["watch_seconds"], mapping["run"]["checkpoint_minutes"]
    recipe = recipe_from_mapping(mapping)
    assert (recipe.data.resident, recipe.run.precision) == (False, "float32")
    made = recipe_from_mapping(yaml.safe_load(_packed_recipe(recipe)))
    assert (made.data.resident, made.data.watch_seconds) == (True, 3)
    assert (made.run.precision, made.run.checkpoint_minutes) == ("bfloat16", 4)
    assert made.optimiser == recipe.optimiser


def pieces_of(packed):
    return sorted(packed.glob("piece-*.tar"))


def start_training(packed, folder, output, *options):
    """Run what was packed, as a machine would that has no such package."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, packed / "lent.py", "train", folder, "--device", "cpu", *options]
    with output.open("wb") as stream:
        return subprocess.Popen(command, stdout=stream, stderr=stream, env=environment, cwd=folder.parent)


def wait_for(text, output, process):
    deadline = time.monotonic() + 240
    while text not in (said := output.read_text(encoding="utf-8")):
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def test_pieces_hold_all_and_are_small(packed):
    from pieces import MANIFEST, Manifest, take_piece

    pieces = pieces_of(packed)
    assert len(pieces) >= 5
    assert [piece.name for piece in pieces] == [
        f"piece-{index:02d}-of-{len(pieces):02d}.tar" for index in range(len(pieces))
    ]
    assert all(piece.stat().st_size <= LIMIT_MB * 1e6 for piece in pieces)
    assert {path.name for path in packed.glob("*.py")} == {path.name for path in LENT.glob("*.py")}
    there = packed.parent / "taken"
    for piece in reversed(pieces):
        take_piece(piece, there)
    assert Manifest.from_json((there / MANIFEST).read_bytes()).missing(there) == {}
    assert (there / "wheels" / WHEEL).read_bytes() == (packed.parent / "wheels" / WHEEL).read_bytes()
    assert not list(there.rglob("*@*"))  # parts are joined
    assert len(list((there / "shards").rglob("*.npz"))) == 18
    assert not (there / "package/e2e_depth_ros/model/embedded").exists()
    recipe = read_recipe(there / "recipe.yaml")
    assert (recipe.model.start, recipe.run.precision) == ("start", "bfloat16")
    assert [source.shards for source in recipe.data.train] == ["shards/train-0/*.npz", "shards/train-1/*.npz"]
    # The last piece alone may be late: each source has shards before it.
    manifest = Manifest.from_json((there / MANIFEST).read_bytes())
    *early, late = (manifest.pieces[piece.name] for piece in pieces)
    assert late
    assert all(member.startswith("shards/train-") for member in late)
    sources = {member.split("/")[1] for members in early for member in members if "/train-" in member}
    assert sources == {"train-0", "train-1"}


def test_trains_from_pieces_is_stopped_goes_on_and_comes_back(packed, tmp_path, monkeypatch, capsys):
    need_bfloat16_attention()
    from lent import main

    there, output = tmp_path / "there", tmp_path / "said"
    arriving = there / "pieces"
    arriving.mkdir(parents=True)
    *early, late = pieces_of(packed)
    for piece in early:
        shutil.copy(piece, arriving)

    process = start_training(packed, there, output, "--minutes", "5")
    try:
        wait_for("training shards are still to come, in piece-", output, process)
        wait_for("_loss ", output, process)
        content = late.read_bytes()
        (arriving / late.name).write_bytes(content[: len(content) // 2])
        wait_for(f"{late.name} is damaged or has not arrived in whole", output, process)
        (arriving / late.name).write_bytes(content)
        wait_for("shards came, 0 are still to come", output, process)
        wait_for(f"is in {there / 'back'}: 1 files", output, process)
        for _ in range(2):  # as timeout(1) does
            process.send_signal(signal.SIGTERM)
            time.sleep(0.01)
        assert process.wait(120) == 0, output.read_text(encoding="utf-8")
    finally:
        process.kill()
    said = output.read_text(encoding="utf-8")
    assert "| ended | stopped by SIGTERM |" in said
    assert (there / "site" / "lent_probe" / "data.bin").stat().st_size == 1_000_000
    assert main(["join", str(there / "back"), "--output", str(tmp_path / "first")]) == 0

    monkeypatch.chdir(tmp_path)  # a training goes where the recipe's paths begin
    monkeypatch.setattr(sys, "path", [*sys.path])
    capsys.readouterr()
    assert main(["train", str(there), "--device", "cpu", "--minutes", "0.02"]) == 0
    said = "".join(capsys.readouterr())
    assert "to 51 images: the run goes on" in said  # 17 shards of 3, those that came late among them
    assert "| ended | finished |" in said
    assert "| validation | AbsRel " in said
    shutil.copytree(there / "back", tmp_path / "fetched" / "deeper")
    assert main(["join", str(tmp_path / "fetched"), "--output", str(tmp_path / "second")]) == 0

    weights = "unet/diffusion_pytorch_model.safetensors"
    second = (tmp_path / "second" / weights).read_bytes()
    assert second == (there / "run" / "checkpoint" / weights).read_bytes()
    assert second != (tmp_path / "first" / weights).read_bytes()
    assert load_checkpoint(tmp_path / "second").facts.tasks == {Task.DEPTH, Task.NORMALS}
    kept = {path.name for path in (tmp_path / "second" / "training").iterdir()}
    assert kept == {"recipe.yaml", "log.jsonl", "curves.png", "samples.png"}


def test_nothing_starts_without_network_or_shards(packed, tmp_path, capsys):
    from lent import main

    pieces = pieces_of(packed)
    train = ["train", str(tmp_path / "there"), "--minutes", "1", "--pieces", str(tmp_path / "arriving")]
    assert main(train) == 2
    assert "found none that can be read" in one_error(capsys)
    (tmp_path / "arriving").mkdir()
    shutil.copy(pieces[-1], tmp_path / "arriving")
    assert main(train) == 2
    error = one_error(capsys)
    assert "more are missing: expected piece-00" in error
    assert pieces[-1].name not in error
    assert not (tmp_path / "there" / "run").exists()


def test_a_source_without_shards_is_told(packed, tmp_path, capsys):
    from lent import main
    from pieces import write_pieces

    (tmp_path / "a").write_text("a")
    (tmp_path / "pieces").mkdir()
    files = {"recipe.yaml": tmp_path / "a", "shards/train-0/a.npz": tmp_path / "a"}
    files["start/big"] = pieces_of(packed)[0]
    write_pieces(files | {"shards/train-1/b.npz": tmp_path / "a"}, tmp_path / "pieces", "piece", 20_000_000)
    (piece,) = (tmp_path / "pieces").iterdir()
    assert main(["train", str(tmp_path), "--minutes", "1"]) == 2
    (tmp_path / "shards/train-1/b.npz").unlink()
    piece.unlink()
    capsys.readouterr()
    assert main(["train", str(tmp_path), "--minutes", "1"]) == 2
    assert "no shard of shards/train-1 has come: expected piece-00-of-01.tar" in one_error(capsys)


def test_damage_is_told_in_one_line(packed, tmp_path, capsys):
    from lent import main

    arriving = tmp_path / "pieces"
    arriving.mkdir()
    for piece in pieces_of(packed):
        shutil.copy(piece, arriving)
    damaged = arriving / pieces_of(packed)[1].name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert main(["train", str(tmp_path), "--minutes", "1"]) == 2
    told, error = capsys.readouterr().err.splitlines()
    assert f"{damaged.name} is damaged" in told
    assert f"expected {damaged.name} in " in error


def one_error(capsys):
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_two_trainings_do_not_share_a_folder(tmp_path, capsys):
    from lent import main
    from running import _lock

    lock = _lock(tmp_path)
    assert main(["train", str(tmp_path), "--minutes", "1"]) == 2
    assert "a training is running" in one_error(capsys)
    lock.close()


def test_the_newest_whole_set_is_joined(tmp_path, capsys):
    from lent import main
    from pieces import write_pieces

    for step in (90, 1000):
        (tmp_path / str(step)).mkdir()
        (tmp_path / str(step) / "a").write_bytes(np.random.default_rng(step).bytes(70_000))
        files = {"checkpoint/a": tmp_path / str(step) / "a"}
        write_pieces(files, tmp_path / str(step), f"back-{step:07d}", 50_000)
    assert len(list((tmp_path / "1000").glob("*.tar"))) == 2
    join = ["join", str(tmp_path), "--output"]
    assert main([*join, str(tmp_path / "new")]) == 0
    assert (tmp_path / "new" / "a").read_bytes() == (tmp_path / "1000" / "a").read_bytes()
    assert main([*join, str(tmp_path / "new")]) == 2
    capsys.readouterr()

    next((tmp_path / "1000").glob("*.tar")).unlink()
    assert main([*join, str(tmp_path / "old")]) == 0
    assert (tmp_path / "old" / "a").read_bytes() == (tmp_path / "90" / "a").read_bytes()
    missing, whole = capsys.readouterr().err.splitlines()
    assert "checkpoint/a is missing, of back-0001000-" in missing
    assert "is whole, of step 90" in whole

    for piece in (tmp_path / "90").glob("*.tar"):
        piece.write_bytes(piece.read_bytes()[:3000])
    assert main([*join, str(tmp_path / "none")]) == 2
    assert "back-0000090-00-of-02.tar" in one_error(capsys)
    assert not (tmp_path / "none").exists()


def test_a_folder_takes_pieces_of_one_set_and_no_path_outside(tmp_path):
    from pieces import Manifest, PieceError, take_piece, write_pieces

    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    (one,) = write_pieces({"x": tmp_path / "a"}, tmp_path, "one", 100_000)
    (other,) = write_pieces({"x": tmp_path / "b"}, tmp_path, "other", 100_000)
    (outside,) = write_pieces({"../x": tmp_path / "b"}, tmp_path, "outside", 100_000)
    for _ in range(2):
        take_piece(one, tmp_path / "there")
    with pytest.raises(PieceError, match="is of another set"):
        take_piece(other, tmp_path / "there")
    with pytest.raises(PieceError, match="expected a path inside the folder"):
        take_piece(outside, tmp_path / "elsewhere")
    assert (tmp_path / "there" / "x").read_bytes() == b"a"
    with pytest.raises(PieceError, match="as each lists all files"):
        write_pieces({"x": tmp_path / "a"}, tmp_path, "small", 20_000)
    with pytest.raises(ValueError, match="damaged"):
        Manifest.from_json(Manifest({"p": {"x": "0"}}).as_json().replace('"x"', '"y"').encode())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model": {"start": "nowhere"}}, "'nowhere'"),
        ({"data": {"train": [{"shards": "nowhere/*.npz"}]}}, "expected shards at nowhere/*.npz, found none"),
        ({"data": {"train": [{"shards": "broken/*.npz"}]}}, "broken.npz"),
        ({"data": {"validation": [{"hypersim": "folder"}]}}, "expected sources of shards alone, got folder"),
    ],
)
def test_pack_refuses_what_would_fail_there(packed, tmp_path, monkeypatch, capsys, change, told):
    from lent import main

    monkeypatch.chdir(tmp_path)
    Path("broken").mkdir()
    Path("broken/broken.npz").write_bytes(b"half a shard")
    recipe = yaml.safe_load((packed.parent / "r.yaml").read_text(encoding="utf-8"))
    for part, values in change.items():
        recipe[part] |= values
    Path("r.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    assert main(["pack", "r.yaml", "--output", "away"]) == 2
    assert told in one_error(capsys)
    assert not Path("away").exists()
