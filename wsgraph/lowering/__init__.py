"""Lowering: plugins turn operators into blocks, blocks become the stream's structure."""
