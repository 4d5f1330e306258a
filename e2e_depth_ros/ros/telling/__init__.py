"""What the nodes report: diagnostics, the state of the alignment, and why an input is silent."""
