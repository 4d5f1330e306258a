"""What several test files share; pyproject.toml puts its folder on the path of pytest."""
