"""A part of the standard library."""
