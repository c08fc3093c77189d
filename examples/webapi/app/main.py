"""A small web API: POST {"values": [...]} to /describe and get statistics.

    app [--host HOST] [--port PORT]     serves
    app --self-check                    serves one request to itself, prints the answer as JSON
"""

import argparse
import json
import pathlib
import sys
import threading
from importlib import metadata

import flask
import pydantic
import requests
from werkzeug.serving import make_server

from stats.summary import describe

LIMITS = json.loads((pathlib.Path(__file__).parent / "limits.json").read_text())


class DescribeRequest(pydantic.BaseModel):
    """What /describe takes."""

    values: list[float] = pydantic.Field(min_length=1, max_length=LIMITS["largest_request"])


app = flask.Flask(__name__)


@app.post("/describe")
def describe_values() -> tuple[dict, int] | dict:
    """Statistics of the values in the request."""
    try:
        request = DescribeRequest.model_validate_json(flask.request.get_data())
    except pydantic.ValidationError as error:
        return {"error": error.errors(include_url=False, include_context=False)}, 422
    return describe(request.values)


def self_check() -> int:
    """Serves two requests to itself; the first has to be answered, the second refused."""
    server = make_server("127.0.0.1", 0, app)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/describe"
    session = requests.Session()
    session.trust_env = False  # No proxy for a request to ourselves.
    good = session.post(url, json={"values": [1, 2, 3, 4]}, timeout=60)
    bad = session.post(url, json={"values": []}, timeout=60)
    server.shutdown()
    ok = good.status_code == 200 and good.json()["mean"] == 2.5 and bad.status_code == 422
    versions = {name: metadata.version(name) for name in ("flask", "numpy", "pandas", "pydantic", "requests")}
    print(json.dumps({"ok": ok, "answer": good.json(), "refused": bad.status_code, "versions": versions}))
    return 0 if ok else 1


def main() -> int:
    """Reads the command line and serves."""
    parser = argparse.ArgumentParser(description="Statistics over HTTP.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--self-check", action="store_true")
    options = parser.parse_args()
    if options.self_check:
        return self_check()
    make_server(options.host, options.port, app, threaded=True).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
