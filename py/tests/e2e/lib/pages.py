"""Pages."""

PAGES = 3
