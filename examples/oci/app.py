"""Serves a page with numbers, or prints it: app.py --print."""

import pathlib
import sys

import flask
import numpy

app = flask.Flask(__name__)
PAGE = pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8")


@app.route("/")
def page() -> str:
    """The page."""
    return flask.render_template_string(PAGE, numbers=numpy.arange(5) ** 2)


if __name__ == "__main__":
    if sys.argv[1:] == ["--print"]:
        with app.test_client() as client:
            print(client.get("/").text)
    else:
        app.run(host="0.0.0.0", port=8080)
