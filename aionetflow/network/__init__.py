"""The world: hosts, routers and switches, the links between them, their names and addresses."""
