"""Prints a page, and the packages that made it."""

import importlib.metadata
import json
import pathlib

import flask

app = flask.Flask(__name__)
PAGE = pathlib.Path(__file__).with_name("page.html").read_text(encoding="utf-8")


@app.route("/")
def page() -> str:
    """The page."""
    return flask.render_template_string(PAGE, numbers=[1, 4, 9])


if __name__ == "__main__":
    with app.test_client() as client:
        versions = {name: importlib.metadata.version(name) for name in ("flask", "jinja2", "markupsafe", "werkzeug")}
        print(json.dumps({"page": client.get("/").text, "versions": versions}))
