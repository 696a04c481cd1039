"""The standard lowerings, one operator family a module, through the same hooks as anybody's."""
