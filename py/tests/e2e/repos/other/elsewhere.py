"""Somebody else's."""

import tagged

print("elsewhere", tagged.NAME)
