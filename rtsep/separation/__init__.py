"""Files and whole signals to stems."""
