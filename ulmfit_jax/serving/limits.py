"""How much one request may ask for, and the one form of every refusal."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What is refused above.

    Attributes:
        texts: texts of a prediction.
        characters: of all texts of a prediction together.
        explained: characters of an explained text.
        left_out: the same where words are left out one after the other, a pass each.
        file_bytes: size of a file of texts.
        file_texts: texts in it.
        waiting: requests that wait for the model.
        requests: under way at a time, those that wait included.
        body_seconds: from the head of a request to the end of its body.
    """

    texts: int = 256
    characters: int = 200_000
    explained: int = 20_000
    left_out: int = 2_000
    file_bytes: int = 5_000_000
    file_texts: int = 10_000
    waiting: int = 32
    requests: int = 128
    body_seconds: int = 60

    @property
    def body_bytes(self) -> int:
        """Bytes of a JSON request: a character takes 12 where both halves of it are escaped (`\\ud83d\\ude00`)."""
        return 12 * self.characters + 65_536


class Refusal(Exception):
    """A request that is not answered: HTTP `status`, a word for programs, a sentence for people."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
