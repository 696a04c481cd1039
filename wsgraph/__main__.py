"""``python -m wsgraph``: the same program as ``wsgraph``."""

from wsgraph.cli.main import program

__all__: list[str] = []

if __name__ == "__main__":
    program()
