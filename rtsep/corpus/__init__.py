"""Sound to train with, made from Debian packages and generators, with a manifest of every source."""
