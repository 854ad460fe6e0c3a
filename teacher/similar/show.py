"""The page of likeness: the pairs, and their answers side by side with what they have in common."""

import re

from commands.companion.todos import BY_NUMBER
from teacher.page import bullets, counted, escaped, page, section, table
from teacher.similar.compare import FEWEST, LEAST_OWN, LEAST_SHARE, Answer, Author, Likeness
from teacher.similar.gather import Comparison, Pair

MOST_PAIRS = 200
COMMENT = re.compile(r"#[^\n]*")
HIDDEN = "# …"


def likeness_page(comparison: Comparison, is_anonymous: bool) -> str:
    """The whole page.

    Args:
        comparison: what to show.
        is_anonymous: names become numbers, and comments, which may hold names, are left out.
    """
    names = names_of(comparison, is_anonymous)
    pairs = comparison.pairs[:MOST_PAIRS]
    first = f" The first {MOST_PAIRS} are shown." if len(comparison.pairs) > MOST_PAIRS else ""
    parts = [
        '<p class="lead">Likeness is no proof: read both.</p>',
        f"<p>{what_was_found(comparison)}.{first}</p>",
        section("Pairs", overview(pairs, names)),
        *(show_pair(place, pair, names, is_anonymous) for place, pair in enumerate(pairs, start=1)),
        section("How answers were compared", method(comparison)),
        section("What could not be read", remarks(comparison, is_anonymous)),
    ]
    return page("Likeness of answers", parts)


def names_of(comparison: Comparison, is_anonymous: bool) -> dict[Author, str]:
    """What each author is called on the page; those of the older class are marked.

    Numbers go by the order on the page: that of names would give them away.
    """
    authors = [author for pair in comparison.pairs for author in pair.authors]
    names = {}
    for number, author in enumerate(dict.fromkeys([*authors, *comparison.authors]), start=1):
        name = f"student {number}" if is_anonymous else author.name
        names[author] = f"{name} (archive)" if author.is_archived else name
    return names


def what_was_found(comparison: Comparison) -> str:
    """How many were compared, and how many pairs there are."""
    old = sum(author.is_archived for author in comparison.authors)
    text = counted(len(comparison.authors) - old, "submission")
    if old:
        text += f", compared with each other and with {counted(old, 'older one')}"
    found = counted(len(comparison.pairs), "pair")
    return f"{text}; {found} of authors with at least one answer much alike"


def overview(pairs: list[Pair], names: dict[Author, str]) -> str:
    """A line for each pair, the most alike first."""
    if not pairs:
        return "<p>No two answers are much alike.</p>"
    rows = []
    for place, pair in enumerate(pairs, start=1):
        first, second = (escaped(names[author]) for author in pair.authors)
        todos = ", ".join(f"{each.number} ({max(each.shares):.0%})" for each in pair.found)
        link = f'<a href="#pair-{place}">{first} and {second}</a>'
        rows.append((link, f'<span class="number">{pair.tokens}</span>', escaped(todos)))
    header = ("authors", "own tokens in common", "TODOs (share of the answer's own tokens)")
    return table(header, rows)


def show_pair(place: int, pair: Pair, names: dict[Author, str], is_anonymous: bool) -> str:
    """A pair: its answers side by side, TODO by TODO."""
    first, second = (names[author] for author in pair.authors)
    title = f'<h2 id="pair-{place}">{escaped(first)} and {escaped(second)}</h2>'
    return "\n".join([title, *(show_answers(each, names, is_anonymous) for each in pair.found)])


def show_answers(found: Likeness, names: dict[Author, str], is_anonymous: bool) -> str:
    """Two answers side by side; the passages that both have are lit."""
    title = f"TODO {found.number}: {BY_NUMBER[found.number].title}"
    same = found.answers[0].code == found.answers[1].code
    note = "<p>The two are the same to the letter.</p>\n" if same else ""
    columns = []
    for answer, lit, share in zip(found.answers, found.lit, found.shares, strict=True):
        name = escaped(names[answer.author])
        code = lit_code(answer, lit, is_anonymous)
        columns.append(
            f'<div><p class="quiet">{name}: {share:.0%} in common</p>\n'
            f'<pre tabindex="0" aria-label="answer of {name}">{code}</pre></div>'
        )
    return f'<h3>{escaped(title)}</h3>\n{note}<div class="pair">{"".join(columns)}</div>'


def lit_code(answer: Answer, lit: frozenset[int], is_anonymous: bool) -> str:
    """An answer as HTML, with the passages lit."""
    parts, end = [], 0
    for begin, stop in runs(answer, lit):
        parts.append(shown(answer.code[end:begin], is_anonymous))
        parts.append(f"<mark>{shown(answer.code[begin:stop], is_anonymous)}</mark>")
        end = stop
    return "".join(parts) + shown(answer.code[end:].rstrip("\n"), is_anonymous)


def runs(answer: Answer, lit: frozenset[int]) -> list[tuple[int, int]]:
    """Where lit passages begin and end in the text: no comment and no end of a line is lit."""
    found: list[tuple[int, int]] = []
    last = -1
    for place in sorted(lit):
        token = answer.tokens[place]
        if token.text == "\n":
            continue
        if found and place == last + 1 and not answer.code[found[-1][1] : token.start].strip(" "):
            found[-1] = found[-1][0], token.end
        else:
            found.append((token.start, token.end))
        last = place
    return found


def shown(code: str, is_anonymous: bool) -> str:
    """A piece of code as HTML, without its comments where names are not to be seen."""
    return escaped(COMMENT.sub(HIDDEN, code) if is_anonymous else code)


def method(comparison: Comparison) -> str:
    """How the comparison works, and what it leaves out."""
    rows = [
        (f"{number} {escaped(BY_NUMBER[number].title)}", str(written), str(compared))
        for number, (written, compared) in comparison.counts.items()
    ]
    text = (
        "<p>Only what stands between the markers of a TODO is compared, as Python's tokens: names, "
        "numbers, strings, comments and layout make no difference. Passages that the official "
        "solution has, one of the alternatives or the skeleton, or a fifth of the class (at least "
        f"{FEWEST}), weigh nothing; the rest of an answer is its own. An answer with fewer than "
        f"{LEAST_OWN} tokens of its own, a line or two, is not compared: there are too few ways to "
        f"write it. A pair is shown where {LEAST_SHARE:.0%} of one answer's own tokens are in the "
        "other one. Lit is what both have.</p>\n"
    )
    return text + table(("TODO", "answers written", "of them compared"), rows)


def remarks(comparison: Comparison, is_anonymous: bool) -> str:
    """What of the submissions could not be read; how often alone, where that would tell a name."""
    if is_anonymous and comparison.remarks:
        return f"<p>{counted(len(comparison.remarks), 'remark')}, shown with the names only.</p>"
    return bullets([escaped(f"{author.name}: {text}") for author, text in comparison.remarks])
