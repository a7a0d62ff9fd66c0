"""How well a model separates: the streaming path as it plays, scored against songs in stems."""
