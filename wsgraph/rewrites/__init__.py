"""Passes over the IR, one a file: a graph in, a graph out."""
