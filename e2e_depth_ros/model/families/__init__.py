"""Families of networks, a module each, and the registry that chooses among them."""
