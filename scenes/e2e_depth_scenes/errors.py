"""What is told in one line."""


class RenderError(ValueError):
    """A recipe, a file or an argument is not what rendering needs, or Blender is missing."""
