"""NVIDIA's GPUs: models compiled for a card beforehand (`rtsep build`), and the engine that runs what was built."""
