"""`ulmfit serve`: a classifier as a web page and a JSON API on this machine."""

from __future__ import annotations

import argparse
import sys

from ulmfit_jax.cli.arguments import add_model, as_the_model, whole_number
from ulmfit_jax.cli.console import note, show
from ulmfit_jax.errors import ConfigError

SUMMARY = "answer in a browser, and programs over HTTP"

DESCRIPTION = """\
Open a web page for a classifier: type a text and see its label, the probabilities and the words it comes from, or give
a file of texts and get a table of answers. Nothing is loaded from or sent to the network. Programs ask the same server:
POST /api/predict and /api/explain, GET /api/model; the page /docs and /openapi.json describe them.

The server can be reached from this machine alone unless --host says otherwise; it has no passwords. Requests are
answered one after the other. Ctrl-C ends it. Needs the extra `serve`.
"""

EXAMPLES = """\
examples:
  ulmfit serve run
  ulmfit serve run --port 8080
  curl -H 'Content-Type: application/json' -d '{"text": "What a lovely surprise."}' http://127.0.0.1:8000/api/predict
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of `ulmfit serve`."""
    add_model(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="H",
        help="address to listen at (default: %(default)s, this machine alone)",
    )
    parser.add_argument(
        "--port",
        type=whole_number(0, 65_535),
        default=8000,
        metavar="P",
        help="default: %(default)s; 0 for any free one",
    )
    parser.add_argument(
        "--proxy",
        metavar="NAME",
        action="append",
        default=[],
        help="host name of a proxy before the server, as browsers see it, such as reviews.example.org; may be given "
        "several times",
    )


def run(options: argparse.Namespace) -> None:
    """Take the port, load, compile, answer."""
    try:
        from ulmfit_jax.serving import server
    except ImportError as error:
        raise ConfigError(
            "a server needs the packages starlette and uvicorn: "
            "install them with pip install '.[serve]' in the folder of ulmfit-jax"
        ) from error
    from ulmfit_jax.ensemble import load_classifier
    from ulmfit_jax.pretrained import model_folder
    from ulmfit_jax.serving.answers import ServedModel
    from ulmfit_jax.serving.guard import is_host_name
    from ulmfit_jax.serving.limits import Limits

    proxies = [name.lower() for name in options.proxy]
    if wrong := [name for name in proxies if not is_host_name(name)]:
        raise ConfigError(f"--proxy {wrong[0][:100]!r} is no host name: give it alone, such as reviews.example.org")
    columns = as_the_model(argparse.Namespace(model=options.model, text_column=None)).text_column
    with server.bound_socket(options.host, options.port) as listener:
        folder = model_folder(options.model).resolve()
        name = folder.parent.name if folder.name == "model" else folder.name
        model = ServedModel(load_classifier(options.model, devices=1), name)
        model.warm_up()
        if not server.is_loopback(listener):
            note("other machines can reach this server, and it asks for no password")

        def ready() -> None:
            show(f"{server.address_of(listener)} answers for {name}; Ctrl-C ends it")
            sys.stdout.flush()

        server.serve(server.new_server(model, listener, Limits(), proxies, columns), listener, ready)
        note("ended")
