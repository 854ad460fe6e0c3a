"""The tokens of an answer, normalised: what renaming, numbers, comments and layout cannot change.

Python's own tokenizer reads them. A name becomes `n`, a number `0`, a string `s`; keywords and
signs stay, and so does a name after a dot (`x.sum`), except after `self`: libraries give these
names, so that a copy cannot change them, and without them most lines of PyTorch look alike.
"""

import io
import keyword
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

IGNORED = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}
IGNORED |= {tokenize.INDENT, tokenize.DEDENT}
OPENS = {getattr(tokenize, name, -1) for name in ("FSTRING_START", "TSTRING_START")}
CLOSES = {getattr(tokenize, name, -1) for name in ("FSTRING_END", "TSTRING_END")}
"""An f-string is one token, as it was before Python 3.12."""
BROKEN = (tokenize.TokenError, SyntaxError, ValueError, RecursionError, MemoryError)
MOST, MOST_STARTS = 20_000, 100
"""Characters of an answer that are looked at, and how often the tokenizer begins again; an honest
answer has some thousand at most, and one or two faults."""


@dataclass(frozen=True)
class Token:
    """A normalised token and where it stands in the text, from `start` up to `end`."""

    text: str
    start: int
    end: int


def tokens_of(code: str) -> list[Token]:
    """The normalised tokens of a piece of Python, which may be broken."""
    tokens: list[Token] = []
    for kind, string, start, end in python_tokens(code[:MOST]):
        before = [token.text for token in tokens[-2:]]
        if kind == tokenize.NEWLINE or string == ";":
            text = "\n"
        elif kind == tokenize.NUMBER:
            text = "0"
        elif kind == tokenize.STRING:
            text = "s"
        elif kind == tokenize.NAME and not keyword.iskeyword(string) and string != "self":
            is_given = before[-1:] == ["."] and before != ["self", "."]
            text = string if is_given else "n"
        else:
            text = string
        if text != "\n" or (before and before[-1] != "\n"):
            tokens.append(Token(text, start, end))
    return tokens


def python_tokens(code: str) -> Iterator[tuple[int, str, int, int]]:
    """Python's tokens that count: kind, text, and where in `code` each begins and ends.

    Where the tokenizer gives up, it begins again with the line after the last token.
    """
    starts = [0]
    for line in code.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    first = 0
    for _ in range(MOST_STARTS):
        last, opened = first, []
        try:
            for raw in tokenize.generate_tokens(io.StringIO(code[starts[first] :]).readline):
                last = max(last, first + raw.start[0] - 1)
                start = starts[min(first + raw.start[0], len(starts)) - 1] + raw.start[1]
                end = starts[min(first + raw.end[0], len(starts)) - 1] + raw.end[1]
                if raw.type in OPENS:
                    opened.append(start)
                elif raw.type in CLOSES and opened:
                    begin = opened.pop()
                    if not opened:
                        yield tokenize.STRING, code[begin:end], begin, end
                elif not opened and raw.type not in IGNORED and not is_blank(raw):
                    yield raw.type, raw.string, start, end
            return
        except BROKEN:
            first = min(last + 1, len(starts) - 1)


def is_blank(raw: tokenize.TokenInfo) -> bool:
    """Whether a token is a lone blank, which older tokenizers call an error."""
    return raw.type != tokenize.NEWLINE and raw.string.isspace()
