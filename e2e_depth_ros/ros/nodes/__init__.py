"""The nodes, and the path of a frame through them."""
