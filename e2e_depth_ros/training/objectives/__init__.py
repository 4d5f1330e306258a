"""What a training minimises: end to end through one step, or by diffusion."""
