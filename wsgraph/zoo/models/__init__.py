"""Networks of well-known zoos, under the names that their checkpoints use."""
