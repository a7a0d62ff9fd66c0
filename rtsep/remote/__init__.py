"""Control surfaces: the terminal."""
