"""CLIP's view of an image, against transformers' own reading of it."""

import json
import shutil

import pytest
import torch
from transformers import CLIPVisionModelWithProjection

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.families.geowizard_clip import load_image_encoder


@torch.no_grad()
def test_images_are_normalised_as_the_checkpoint_says(tiny_checkpoint):
    folder = tiny_checkpoint("geowizard_v1")
    encoder = load_image_encoder(folder).eval()
    height, width = encoder.size
    images = torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2 - 1
    config = json.loads((folder / "feature_extractor" / "preprocessor_config.json").read_text())
    mean, std = (torch.tensor(config[key]).view(3, 1, 1) for key in ("image_mean", "image_std"))
    clip = CLIPVisionModelWithProjection.from_pretrained(folder / "image_encoder").eval()
    expected = clip(((images + 1) / 2 - mean) / std).image_embeds
    found = encoder(images)
    assert found.shape == (2, 1, expected.shape[1])
    torch.testing.assert_close(found[:, 0], expected, rtol=0, atol=1e-5)


@torch.no_grad()
def test_an_image_of_any_size_is_one_token(tiny_checkpoint):
    encoder = load_image_encoder(tiny_checkpoint("geowizard_v1")).eval()
    small = torch.rand(1, 3, 19, 33, generator=torch.Generator().manual_seed(0)) * 2 - 1
    large = small.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    assert encoder(small).shape[:2] == (1, 1)
    assert torch.nn.functional.cosine_similarity(encoder(small), encoder(large), dim=-1).item() > 0.95


@pytest.mark.parametrize("missing", ["crop_size", "image_mean", "image_std"])
def test_what_the_config_does_not_say_is_named(tiny_checkpoint, tmp_path, missing):
    folder = shutil.copytree(tiny_checkpoint("geowizard_v1"), tmp_path / "checkpoint")
    path = folder / "feature_extractor" / "preprocessor_config.json"
    config = json.loads(path.read_text())
    del config[missing]
    path.write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="crop_size, image_mean and image_std"):
        load_image_encoder(folder)
