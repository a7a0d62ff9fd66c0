"""Measurements of rtsep, and the tools that they and the tests share: virtual card, load, control."""
