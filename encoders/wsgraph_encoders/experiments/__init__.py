"""The paper's comparisons as commands: ``wsgraph experiment ...``.

Importing this package or its ``commands`` imports no torch, because ``wsgraph --help`` does.
"""
