"""The nodes, and the way of a frame through them."""
