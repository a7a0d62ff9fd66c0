"""Training: losses, the loop, checkpoints, logs, and what comes out of it."""
