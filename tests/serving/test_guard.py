"""What other sites' pages cannot make a browser do, and what the own page may load."""

from __future__ import annotations

import re

import httpx
import pytest
from asking import refused

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
    assert {"/page.js", "/table.js", "/style.css"} <= set(sources)
    for source in sources:
        assert client.get(source).status_code == 200
    for path in ("/", "/page.js", "/table.js", "/style.css"):
        assert not re.findall(r"https?://|innerHTML|eval\(|\son\w+=|\sstyle=", client.get(path).text)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:80", "", "localhost@evil.example", "[::1", "a b"]
)
def test_another_host_name_is_refused(client: httpx.Client, host: str) -> None:
    refused(client.get("/api/model", headers={"Host": host}), 403, "not_allowed", "other names")


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
