"""ONNX graphs written from weights, with onnx alone."""
