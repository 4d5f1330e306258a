"""Time: what an alignment is worth from frame to frame, and its state."""
