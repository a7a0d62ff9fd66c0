"""Audio files and other sources of sound, read at any rate; stems written."""
