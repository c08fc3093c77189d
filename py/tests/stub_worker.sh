#!/bin/sh
echo "The stand-in for the worker is not to be run." >&2
exit 1
