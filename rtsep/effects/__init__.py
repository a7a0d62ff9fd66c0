"""Chains of effects: what they are, what runs them in a process of its own, and the scan of plugins."""
