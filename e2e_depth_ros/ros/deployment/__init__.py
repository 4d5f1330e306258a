"""Everything around the nodes: launch files, middleware, security, files generated from the declarations."""
