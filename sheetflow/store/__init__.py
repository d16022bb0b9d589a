"""The store: the one door to MongoDB."""
