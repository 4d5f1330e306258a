"""What makes a frame metric: samples of a sensor, the ground, a given scale."""
