from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from e2e_depth_ros.core.errors import CheckpointError
from e2e_depth_ros.model.export.graph import Graph
from e2e_depth_ros.model.export.placing import initializers, places_in, smallest, write_weights
from e2e_depth_ros.model.families.registry import load_checkpoint, read_facts


@pytest.mark.parametrize("layout", ["embedded", "sharded", "marigold_depth"])
def test_the_tensors_of_a_checkpoint_are_where_it_says(
    tiny_checkpoint: Callable[..., Path], layout: str
) -> None:
    folder = tiny_checkpoint(layout)
    facts, network = read_facts(folder), load_checkpoint(folder).model
    places = places_in({part: facts.weight_files(part) for part in facts.components})
    state = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith("prompt")}
    assert set(places) == set(state)
    for name, tensor in state.items():
        place = places[name]
        kind = {torch.float16: np.float16, torch.float32: np.float32}[place.dtype]
        stored = np.fromfile(place.file, kind, tensor.numel(), offset=place.offset)
        np.testing.assert_array_equal(stored.astype(np.float32), tensor.numpy().ravel())


def test_weights_of_several_graphs_are_written_once_and_small(tmp_path: Path) -> None:
    halves, thirds, own = torch.ones(4) / 2, torch.ones(4) / 3, torch.ones(2)
    graphs = [Graph("one"), Graph("two")]
    for g in graphs:
        g.name_weights({"halves": halves, "thirds": thirds})
        for tensor in (halves, thirds, own):
            g.weight(tensor)
    places = write_weights(graphs, tmp_path)
    saved = load_file(tmp_path / "weights.safetensors")
    assert {name: tensor.dtype for name, tensor in saved.items()} == {
        "halves": torch.float16,
        "thirds": torch.float32,
    }
    made = initializers(graphs[0], places, tmp_path)
    assert set(made) == {"halves", "thirds", graphs[0].weight(own)}
    (location,) = [entry.value for entry in made["halves"].external_data if entry.key == "location"]
    assert location == "weights.safetensors"


def test_float16_is_taken_where_it_loses_nothing() -> None:
    for value, dtype in (
        (0.5, torch.float16),
        (1 / 3, torch.float32),
        (1e6, torch.float32),
        (1e-9, torch.float32),
    ):
        assert smallest(torch.full((2,), value)).dtype == dtype


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    g = Graph("one")
    g.name_weights({"w": (weight := torch.ones(2))})
    g.weight(weight)
    with pytest.raises(CheckpointError, match="cannot write"):
        write_weights([g], tmp_path / "nowhere")
