"""Effects: chains of plugins in processes of their own, who keeps these, and the scan of plugins."""
