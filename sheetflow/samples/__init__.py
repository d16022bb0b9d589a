"""Drawn catalogue sheets with their truth: for the demo, the tests and a first try.

`spec` says what a sheet should show, `drawing` draws one, `catalogue` writes a set of files.
Nothing is imported here, so that a command line that only might draw stays quick to start.
"""
