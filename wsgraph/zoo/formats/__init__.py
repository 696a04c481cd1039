"""Layouts of model zoos that can be imported, one a module."""
