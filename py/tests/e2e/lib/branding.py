"""A name and a colour."""

import pathlib

import tagged

from lib import colours

LINE = f"{pathlib.Path(__file__).with_name('branding.txt').read_text().strip()} {colours.COLOUR} {tagged.NAME}"
