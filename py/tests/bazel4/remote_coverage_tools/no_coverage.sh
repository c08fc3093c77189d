#!/bin/sh
echo "Coverage needs the real tools: see WORKSPACE." >&2
exit 1
