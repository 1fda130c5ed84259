"""A signed client of the hub's REST API, for machines, balancers and the command line."""
