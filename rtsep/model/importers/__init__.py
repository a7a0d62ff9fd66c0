"""Other programs' models made ours: Spleeter's and Open-Unmix's, without TensorFlow or torch."""
