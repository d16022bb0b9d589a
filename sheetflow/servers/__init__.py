"""Servers in the background that several processes of one machine share; the embedded MongoDB."""
