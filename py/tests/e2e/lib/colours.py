"""Colours."""

COLOUR = "blue"
