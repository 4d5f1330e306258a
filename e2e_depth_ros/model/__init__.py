"""Networks: from a checkpoint to relative depth and normals of an image."""
