"""Specs, presets, latency and settings: arithmetic and words, no sound."""
