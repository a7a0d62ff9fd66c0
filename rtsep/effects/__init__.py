"""Effects: chains of plugins in processes of their own, and who keeps these."""
