"""What each sample is worth, before and after a fit: edges, crowds, neighbours, occlusion."""
