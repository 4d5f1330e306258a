"""What is published of a frame."""
