"""The live host: devices, the signal path, workers, control."""
