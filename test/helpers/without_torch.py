"""A process in which some packages can't be imported."""


def without(*packages: str) -> str:
    """Return code that makes them fail to import, in the process that begins with it."""
    return f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {packages!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


WITHOUT_TORCH = without("torch", "diffusers", "transformers")
"""Neither torch nor what brings it."""
