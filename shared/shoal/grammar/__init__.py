"""Words and requests: the command language, built from the command classes; pure."""

from __future__ import annotations

from shoal.grammar.language import Grammar, Match, Spelling
from shoal.grammar.lexer import join, split

__all__ = ["Grammar", "Match", "Spelling", "join", "split"]
