"""Hypothesis strategies for texts that the rules act on and texts that break tokenizers."""

from __future__ import annotations

from hypothesis import strategies as st

FRAGMENTS = [
    # special tokens, and what looks like them
    *["xxunk", "xxpad", "xxbos", "xxeos", "xxfld", "xxrep", "xxwrep", "xxup", "xxmaj", "xxmajor", "▁xxbos"],
    # what fix_html looks for
    *[
        "<br />",
        "&amp;",
        "&nbsp;",
        "#39;",
        "quot;",
        "&#65;",
        "&#xD800;",
        "&lt;br /&gt;",
        "<unk>",
        " @-@ ",
        " @.@ ",
        "\\n",
    ],
    # words of every case, and words that the tokenizers cut
    *[
        "no",
        "No",
        "NO",
        "the",
        "Don't",
        "don't",
        "I",
        "A",
        "NASA's",
        "U.S.",
        "McDonald's",
        "and/or",
        "#1",
        "3.5",
        "1,000",
    ],
    # runs, also such that their count is a run
    *["!!!", "...", "....", "aaa", "aaaa", "333", "3", "111", "-" * 111, "1" * 111, "\\\\\\", "AAA", "ŀŀŀ"],
    # whitespace
    *[" ", "  ", "\n", "\n\n", "\t", "\r\n", "\x1f", "\x85", "\xa0", "\u2028", "\u2029", "\u3000"],
    # controls, zero width, combining marks, halves of characters, SentencePiece's own sign
    *["\x00", "\x01", "\u200b", "\u200d", "\ufeff", "\u0301", "\u0308x", "\ud800", "\ud83d\ude00", "▁", "\ufffd"],
    # case and normalisation that depend on the neighbours or change the length
    *["é", "ß", "İ", "ΟΔΟΣ", "Σ", "Ⅷ", "ǅ", "ﬁ", "¨", "…", "_"],
    # other scripts, a long word, the last character
    *["😀", "漢字", "한국어", "नमस्ते", "x" * 50, "\U0010ffff"],
]

fragments = st.sampled_from(FRAGMENTS) | st.text(max_size=3)
any_text = st.lists(fragments, max_size=30).map("".join) | st.lists(fragments, max_size=30).map(" ".join) | st.text()
