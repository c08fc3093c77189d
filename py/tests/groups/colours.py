"""colours."""
