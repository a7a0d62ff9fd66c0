"""Networks in PyTorch, made from their descriptions; nothing else in `model` needs torch."""
