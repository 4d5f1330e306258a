"""What stands beside the nodes: launch files, the middleware, security, files made from the declarations."""
