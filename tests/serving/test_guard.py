"""What other sites' pages cannot make a browser do, and what the own page may load."""

from __future__ import annotations

import re

import httpx
import pytest
from asking import Running, post, refused

from ulmfit_jax import TextClassifier
from ulmfit_jax.serving.answers import ServedModel

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", ["/", "/style.css", "/page.js", "/table.js", "/icon.svg", "/docs", "/api/model", "/x"])
def test_every_answer_has_a_strict_policy(client: httpx.Client, path: str) -> None:
    reply = client.get(path)
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in reply.headers
    assert client.head(path).status_code == reply.status_code


def test_the_page_loads_only_what_the_server_has(client: httpx.Client) -> None:
    page = client.get("/").text
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {"page.js", "table.js", "style.css"} <= set(sources)  # relative: a proxy may serve it below a path
    for source in sources:
        assert client.get(source).status_code == 200
    for path in ("/", "/page.js", "/table.js", "/style.css"):
        assert not re.findall(r"https?://|innerHTML|eval\(|\son\w+=|\sstyle=", client.get(path).text)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "", "localhost@evil.example", "[::1", "a b"]
)
def test_another_host_name_is_refused(client: httpx.Client, host: str) -> None:
    refused(client.get("/api/model", headers={"Host": host}), 403, "not_allowed", "other names", "--proxy NAME")


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "[::1]:9", "LOCALHOST"])
def test_this_machines_names_are_answered(client: httpx.Client, host: str) -> None:
    assert client.get("/api/model", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", ""])
def test_another_sites_page_is_refused(client: httpx.Client, origin: str) -> None:
    for path in ("/api/predict", "/api/explain", "/api/texts?name=a.txt"):
        reply = client.post(path, content=b'{"text": "a"}', headers={**JSON, "Origin": origin})
        refused(reply, 403, "not_allowed", "another site")
    refused(client.options("/api/predict", headers={"Origin": origin}), 403, "not_allowed")


def test_the_own_page_is_answered(client: httpx.Client, address: str) -> None:
    reply = client.post("/api/predict", content=b'{"text": "a"}', headers={**JSON, "Origin": address})
    assert reply.status_code == 200


def test_a_proxys_page_is_answered(classifier: TextClassifier) -> None:
    """Whether the proxy passes its own name on or the server's."""
    running = Running(ServedModel(classifier, "tiny"), proxies=["reviews.example.org"])
    sites = ("https://reviews.example.org.evil.example", "https://evil.example/reviews.example.org", "null")
    try:
        with running.client() as client:
            for host in ("reviews.example.org", "127.0.0.1:8000"):
                client.headers["Host"] = host
                for own in ("https://reviews.example.org", "https://reviews.example.org:8443"):
                    assert post(client, "/api/predict", {"text": "a"}, {"Origin": own}).status_code == 200
                for site in sites:
                    reply = post(client, "/api/predict", {"text": "a"}, {"Origin": site})
                    refused(reply, 403, "not_allowed", "another site")
            refused(client.get("/", headers={"Host": "evil.example"}), 403, "not_allowed", "other names")
    finally:
        running.end()
