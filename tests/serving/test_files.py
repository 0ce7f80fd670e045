"""Files of texts that are sent to the server."""

from __future__ import annotations

import dataclasses
import gzip
import socket
from urllib.parse import quote

import httpx
import pytest
from asking import LIMITS, Running, refused

from ulmfit_jax import TextClassifier
from ulmfit_jax.data.records import IfThere
from ulmfit_jax.serving.answers import ServedModel
from ulmfit_jax.text.rules import join_fields


def send(client: httpx.Client, name: str, content: bytes, column: str = "") -> httpx.Response:
    return client.post(f"/api/texts?name={quote(name)}&column={quote(column)}", content=content)


@pytest.mark.parametrize(
    ("name", "content", "column", "texts"),
    [
        ("a.txt", b"one\r\n\ntwo <b>\n", "", ["one", "", "two <b>"]),
        ("A.CSV", b'\xef\xbb\xbftext,label\n"a, b",1\n"two\nlines",2\n', "", ["a, b", "two\nlines"]),
        ("a.tsv", b"body\tx\nhere\t1\n", "", ["here"]),
        ("a.csv", b"a,b\n1,2\n", "b", ["2"]),
        ("a.jsonl", b'{"text": "\\ud800 half"}\n\n{"text": "caf\xc3\xa9"}\n', "", ["\ud800 half", "café"]),
        ("../../etc/a.txt", b"only a name", "", ["only a name"]),
        ("a.txt", "one\ngrün".encode("utf-16"), "", ["one", "grün"]),
        ("a.csv", b"text;label\none, two;1\n", "", ["one, two"]),
    ],
)
def test_texts_are_those_of_the_file(
    client: httpx.Client, name: str, content: bytes, column: str, texts: list[str]
) -> None:
    reply = send(client, name, content, column)
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"texts": texts}


@pytest.mark.parametrize(
    ("name", "content", "status", "code", "part"),
    [
        ("a.csv", b"x,y\n1,2\n", 400, "wrong_data", "the file has no column with a usual name for the text"),
        ("a.csv", b"text,label\n1\n", 400, "wrong_data", "the file, row 2 (line 2) has 1 fields"),
        ("a.txt", b"\xff\xfea\x00b", 400, "wrong_data", "the file is not utf-16 behind line 0"),
        ("a.txt", b"caf\xe9", 400, "wrong_data", "(byte 3 of the file); save the file as UTF-8."),
        ("a.txt", b"", 400, "wrong_data", "the file is empty"),
        ("a.jsonl", b"[1]\n", 400, "wrong_data", "the file"),
        ("a.txt.gz", gzip.compress(b"a", mtime=0), 415, "unsupported_type", "its name has to end in .csv"),
        ("a.parquet", b"PAR1", 415, "unsupported_type", "its name has to end in .csv"),
        ("", b"a", 400, "no_name", "the name of the file is missing"),
        ("a.txt", b"a\n" * 21, 413, "too_large", "more than 20 texts"),
        ("a.txt", b"a" * 4_001, 413, "too_large", "more than 4,000 bytes"),
    ],
)
def test_what_is_wrong_is_one_sentence_that_shows_no_path(
    client: httpx.Client, name: str, content: bytes, status: int, code: str, part: str
) -> None:
    reply = send(client, name, content)
    refused(reply, status, code, part)
    assert "/tmp" not in reply.text


def test_a_column_that_is_not_there_is_named(client: httpx.Client) -> None:
    refused(send(client, "a.csv", b"text\na\n", "body"), 400, "wrong_data", "the file has no column 'body'")


def test_a_table_is_read_as_the_models_texts_were(classifier: TextClassifier) -> None:
    running = Running(ServedModel(classifier, "tiny"), text_column=IfThere(("subject", "body")))
    try:
        with running.client() as client:
            table = b"subject,body\nhello,world\n"
            assert send(client, "a.csv", table).json() == {"texts": [join_fields(["hello", "world"])]}
            assert send(client, "a.csv", table, "subject").json() == {"texts": ["hello"]}
            assert send(client, "a.csv", b"text,body\nhello,world\n").json() == {"texts": ["hello"]}
    finally:
        running.end()


def test_a_body_that_does_not_come_is_not_waited_for(classifier: TextClassifier) -> None:
    running = Running(ServedModel(classifier, "tiny"), dataclasses.replace(LIMITS, body_seconds=1))
    try:
        with socket.create_connection(running.listener.getsockname(), timeout=60) as connection:
            head = b"POST /api/texts?name=a.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
            connection.sendall(head + b"a few")
            reply = b"".join(iter(lambda: connection.recv(4096), b""))
    finally:
        running.end()
    assert reply.startswith(b"HTTP/1.1 408 ")
    assert b"too_slow" in reply


def test_a_form_is_refused(client: httpx.Client) -> None:
    reply = client.post("/api/texts?name=a.csv", files={"file": ("a.csv", b"text\na\n")})
    refused(reply, 415, "unsupported_type", "send the bytes of the file alone")
