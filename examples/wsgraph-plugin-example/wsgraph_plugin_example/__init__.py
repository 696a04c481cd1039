"""A wsgraph plugin; see plugin.py."""
