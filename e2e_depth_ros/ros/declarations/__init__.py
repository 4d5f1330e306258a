"""Parameters and outputs of the nodes, declared once."""
