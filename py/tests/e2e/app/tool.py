"""A tool."""

import in_tool

print(in_tool.NAME)
