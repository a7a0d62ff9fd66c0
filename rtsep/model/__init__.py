"""Networks, their files, and where they are found."""
