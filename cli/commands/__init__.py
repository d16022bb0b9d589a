"""One module for each command, or each pair of commands that share their work."""
