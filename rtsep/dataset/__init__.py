"""Songs in stems on disk: how they lie there, what is wrong with them, and the sound of any part of them."""
