"""The command line, `e2e-depth`."""
