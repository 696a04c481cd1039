"""Where models come from: modules, exported programs, checkpoints; and tracing them into the IR."""
