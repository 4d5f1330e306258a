from e2e_depth_ros.model.shipped import SHIPPED


def test_what_ships_is_a_checkpoint_with_graphs() -> None:
    assert set(SHIPPED) == {"embedded"}
    for file in ("model_index.json", "graphs.json", "README.md"):
        assert (SHIPPED["embedded"] / file).is_file()
