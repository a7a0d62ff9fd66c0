"""The native signal processing: rings, windows, spectra, masks."""
