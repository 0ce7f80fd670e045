"""Text to ids and back: the rules of fastai, three kinds of tokenizer behind one protocol, and vocabularies."""

from ulmfit_jax.text.rules import (
    BOS_ID,
    EOS_ID,
    FLD_ID,
    MAJ_ID,
    PAD_ID,
    REP_ID,
    SPECIALS,
    UNK_ID,
    UP_ID,
    WREP_ID,
    apply_rules,
    join_fields,
    undo_rules,
)
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.text.spacy_words import SpacyTokenizer
from ulmfit_jax.text.tokenizer import Tokenizer, load_tokenizer
from ulmfit_jax.text.vocabulary import Vocabulary, VocabularyMatch, apply_match, match_vocabularies
from ulmfit_jax.text.words import WordTokenizer

__all__ = [
    "BOS_ID",
    "EOS_ID",
    "FLD_ID",
    "MAJ_ID",
    "PAD_ID",
    "REP_ID",
    "SPECIALS",
    "UNK_ID",
    "UP_ID",
    "WREP_ID",
    "SentencePieceTokenizer",
    "SpacyTokenizer",
    "Tokenizer",
    "Vocabulary",
    "VocabularyMatch",
    "WordTokenizer",
    "apply_match",
    "apply_rules",
    "join_fields",
    "load_tokenizer",
    "match_vocabularies",
    "undo_rules",
]
