"""Foreign networks get names; those that come whole, from the command line too: test_registry.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e_depth_ros.model.checkpoint.foreign import foreign_folder, foreign_index, foreign_network


@pytest.mark.parametrize("content", ["", "[1, 2]", "{", '{"_class_name": 3}', '{"_class_name": ["A"]}'])
def test_what_cannot_be_read_names_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "model_index.json").write_text(content)
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "unet").mkdir()
    (tmp_path / "vae").mkdir()
    assert foreign_index(tmp_path) is None
    assert foreign_folder(tmp_path) is None


def test_half_of_a_family_is_no_foreign_folder(tmp_path: Path) -> None:
    (tmp_path / "unet").mkdir()
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')
    assert foreign_folder(tmp_path) is None
    (tmp_path / "unet").rmdir()
    (tmp_path / "model_index.json").write_text('{"_class_name": "StableDiffusionInpaintPipeline"}')
    assert "inpainting" in str(foreign_folder(tmp_path))


def test_what_has_no_name_is_described() -> None:
    what = foreign_network({"_class_name": "NewPipeline"}, {"in_channels": 6, "out_channels": 4}, 4)
    assert what.startswith("one whose index names NewPipeline, with a UNet from 6 to 4 channels")


def test_names_are_fit_for_one_line() -> None:
    what = foreign_network({"_class_name": "a\nb" * 1000}, {"_class_name": "\x1b[31m"}, 4)
    assert what.isprintable()
    assert len(what) < 400
