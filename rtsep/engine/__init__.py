"""Inference engines and what feeds them."""
