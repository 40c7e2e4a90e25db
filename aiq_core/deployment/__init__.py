"""Networks as they are deployed: what runs them, how long that takes, and how long it was predicted to take."""
