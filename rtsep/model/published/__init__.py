"""Published models: which there are, how they are pulled, what proves them."""
