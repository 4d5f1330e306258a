from pathlib import Path

from e2e_depth_ros.model.shipped import EMBEDDED, folder_named


def test_the_shipped_checkpoint_is_named_and_others_are_folders() -> None:
    assert (folder_named(EMBEDDED) / "model_index.json").is_file()
    assert folder_named(Path(EMBEDDED)) == folder_named(EMBEDDED)
    assert folder_named("other/embedded") == Path("other/embedded")
    assert folder_named("~/weights") == Path.home() / "weights"
