"""What the depth node publishes for a frame."""
