"""What makes a frame metric: a sensor's samples, the ground, or a given scale."""
