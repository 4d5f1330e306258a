"""Families of networks, one module each, and the registry that chooses among them."""
