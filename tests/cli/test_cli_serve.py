"""`ulmfit serve` as a process: it says where it is, answers, and ends at Ctrl-C; mistakes are one sentence."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, Trained, on_one_device

from ulmfit_jax import TextClassifier

pytest.importorskip("uvicorn", reason="uvicorn, which serves, is not installed")
pytest.importorskip("starlette", reason="starlette, which serves, is not installed")

Run = Callable[..., Outcome]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_end(trained: Trained, how: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("ulmfit")), "serve", str(trained.out), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=on_one_device())
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        address = line.split()[0]
        assert line == f"{address} answers for {trained.out.name}; Ctrl-C ends it\n"
        assert address.startswith("http://127.0.0.1:")
        request = urllib.request.Request(
            f"{address}api/predict", b'{"text": "A lovely film."}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            (answer,) = json.load(reply)["answers"]
        assert answer["label"] == TextClassifier.load(trained.out, devices=1).predict("A lovely film.")
        process.send_signal(how)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, out, err) == ((0, "", "ended\n") if how == signal.SIGINT else (-how, "", ""))


def test_a_port_that_is_taken_is_named(trained: Trained, ulmfit: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        outcome = ulmfit("serve", trained.out, "--port", port)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err == (
        f"ulmfit: port {port} of 127.0.0.1 cannot be had (Address already in use): "
        "choose another one with --port, or 0 for any\n"
    )


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a b", "", "x" * 300])
def test_a_host_that_is_none_is_one_sentence(
    trained: Trained, ulmfit: Run, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = socket.getaddrinfo

    def resolved(name: str, *more: Any, **options: Any) -> Any:
        if name == "no.such.host.invalid":  # no network is asked, which may be slow or know every name
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return asked(name, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    outcome = ulmfit("serve", trained.out, "--port", "0", "--host", host)
    assert outcome.code == 2
    assert "is no address of this machine: give one such as 127.0.0.1" in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_language_model_gives_no_labels(language_model: Path, ulmfit: Run) -> None:
    outcome = ulmfit("serve", language_model, "--port", "0")
    assert outcome.code == 2
    assert "holds a language model, but a classifier is needed here" in outcome.err


def test_without_the_packages_the_extra_is_named(
    trained: Trained, ulmfit: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ulmfit_jax.serving")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    outcome = ulmfit("serve", trained.out)
    assert outcome.code == 2
    assert "install them with pip install '.[serve]' in the folder of ulmfit-jax" in outcome.err


def test_the_packages_are_not_imported_before() -> None:
    command = "import sys, ulmfit_jax.text_classifier, ulmfit_jax.interop, ulmfit_jax.cli.main; "
    command += "print({'starlette', 'uvicorn', 'safetensors'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
