"""Training zoos on real images: many small networks at once, each with a configuration of its own."""
