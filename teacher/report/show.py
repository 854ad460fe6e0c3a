"""The page of a class: marks, TODOs, causes, and the answers that a teacher has to read."""

import statistics
from collections.abc import Sequence

from commands.companion.quiz import LETTERS, TITLES, all_numbers
from commands.companion.todos import BY_NUMBER
from teacher.page import bullets, counted, escaped, folded, page, section, table
from teacher.report.causes import TO_DO, Row, Unexplained, rows_of
from teacher.report.records import Graded
from teacher.reports import Mark

BAR = 6
"""Width of a whole bar in rem."""
OTHERS = ("wrong", "stopped", "unreadable", "to do")
"""The verdicts of what has not passed."""
MOST_BINS = 12
SHOWN_NAMES = 3


def class_page(graded: Graded) -> str:
    """The whole page."""
    rows = rows_of(graded.marks)
    parts = [
        lead(graded),
        section("Marks", distribution(graded.marks)),
        section("TODO by TODO", overview(rows)),
        section("What went wrong", "\n".join(causes_of(row, graded.marks) for row in rows)),
        section("Read these", unexplained(rows)),
        section("The quiz", quiz(graded.marks)),
        section("Remarks", remarks(graded.marks)),
    ]
    return page(f"The class at a glance: {graded.table.name}", parts)


def lead(graded: Graded) -> str:
    """The class in a sentence or two."""
    marks = graded.marks
    totals = [mark.total for mark in marks]
    highest = max(mark.highest for mark in marks)
    mean, median = statistics.fmean(totals), statistics.median(totals)
    text = (
        f'<p class="lead">{counted(len(marks), "submission")}; on average {mean:.1f} of {highest} '
        f"points; the median is {median:.1f}.</p>"
    )
    if graded.missing:
        names = ", ".join(map(escaped, graded.missing))
        count = counted(len(graded.missing), "submission")
        text += f"\n<p>Not counted, as the record of the grading is missing: {count} ({names}). "
        text += "Give the same grading command again.</p>"
    return text


# ------------------------------------------------------------------ marks


def distribution(marks: list[Mark]) -> str:
    """How many have how many points, as a table with bars."""
    highest = max(mark.highest for mark in marks)
    step = max(1, -(-(highest + 1) // MOST_BINS))
    bins = [0] * (highest // step + 1)
    for mark in marks:
        bins[min(int(mark.total // step), len(bins) - 1)] += 1
    rows = []
    for place, count in enumerate(bins):
        low, high = place * step, min(place * step + step - 1, highest)
        points = f"{low}" if low == high else f"{low} to {high}"
        rows.append((points, f'<span class="number">{count}</span>', bar(count, max(bins))))
    text = table(("points", "submissions", ""), rows)
    whole = all(isinstance(mark.total, int) for mark in marks)
    note = "" if whole else "<p>Parts of a point are rounded down here.</p>\n"
    extra = sum(mark.extra > 0 for mark in marks)
    if extra:
        note += f"<p>{counted(extra, 'submission')} also earned extra points.</p>\n"
    return note + text


def bar(count: int, most: int) -> str:
    """A bar for the eye; the number stands beside it."""
    width = BAR * count / most if most else 0
    return f'<span class="bar" aria-hidden="true" style="width:{width:.2f}rem"></span>'


# ------------------------------------------------------------------ TODOs


def overview(rows: list[Row]) -> str:
    """A line for each TODO: how many passed, and the most frequent cause."""
    cells = []
    for row in rows:
        total = sum(map(len, row.verdicts.values()))
        others = [f"{len(row.verdicts[v])} {v}" for v in OTHERS if v in row.verdicts]
        title = BY_NUMBER[row.number].title
        causes = [f"{len(names)}: {escaped(cause)}" for cause, names in row.causes.items()]
        cells.append(
            (
                f'<a href="#todo-{row.number}">{row.number}</a> {escaped(title)}',
                f'<span class="number">{row.passed} of {total}</span><br>{bar(row.passed, total)}',
                ", ".join(map(escaped, others)),
                "".join(causes[:1]),
            )
        )
    return table(("TODO", "passed", "the others", "most frequent cause"), cells)


def causes_of(row: Row, marks: list[Mark]) -> str:
    """What failing answers to one TODO got as a diagnosis, the most frequent first."""
    lines = [
        f"{len(names)} of {len(marks)}: {escaped(cause)} {who(names)}"
        for cause, names in row.causes.items()
    ]
    count = sum(group.count for group in row.unexplained)
    if count:
        link = f'<a href="#read-{row.number}">no cause was named</a>'
        lines.append(f"{count} of {len(marks)}: {link}")
    return heading_of(row, "todo") + (bullets(lines) or "<p>Nothing.</p>")


def heading_of(row: Row, kind: str) -> str:
    """A heading with the name of a TODO, to be linked as `#kind-number`."""
    title = escaped(f"TODO {row.number}: {BY_NUMBER[row.number].title}")
    return f'<h3 id="{kind}-{row.number}">{title}</h3>\n'


def who(names: Sequence[str]) -> str:
    """Names, the later ones folded away."""
    first = ", ".join(map(escaped, names[:SHOWN_NAMES]))
    rest = ", ".join(map(escaped, names[SHOWN_NAMES:]))
    if not rest:
        return f'<span class="quiet">({first})</span>'
    return folded(f'<span class="quiet">{first} and {len(names) - SHOWN_NAMES} more</span>', rest)


# ------------------------------------------------------------------ what a teacher reads


def unexplained(rows: list[Row]) -> str:
    """The answers that no diagnosis explains, with their code."""
    parts = []
    for row in rows:
        if row.unexplained:
            parts += [heading_of(row, "read"), *map(group_of, row.unexplained)]
    if not parts:
        return "<p>Every wrong answer got a cause.</p>"
    note = (
        "<p>These answers are wrong, but no test could name the cause. A mistake that several make "
        "wants a line in <code>checks/diagnosis</code>; a right answer, a better test.</p>"
    )
    return "\n".join([note, *parts])


def group_of(group: Unexplained) -> str:
    """Answers with one message: the message, then each answer that is different."""
    parts = [f"<pre>{escaped(group.message)}</pre>"]
    for code, names in sorted(group.answers.items(), key=lambda each: -len(each[1])):
        parts.append(f"<p>{', '.join(map(escaped, names))}</p>\n<pre>{escaped(code)}</pre>")
    first = next((line for line in group.message.split("\n")[1:] if line.strip()), "")
    first = first or group.message
    names = [name for each in group.answers.values() for name in each]
    count = escaped(names[0]) if len(names) == 1 else counted(len(names), "answer")
    return folded(f"{count}: {escaped(first[:120])}", "\n".join(parts))


def quiz(marks: list[Mark]) -> str:
    """How many answers of each chapter's quiz are right, for those who have taken it."""
    takers = [mark for mark in marks if mark.quiz_remarks]
    if not takers:
        return ""
    rows = []
    for mark in takers:
        counts = [sum(n in mark.quiz for n in all_numbers([chapter])) for chapter in sorted(TITLES)]
        cells = [f'<span class="number">{count or ""}</span>' for count in counts]
        rows.append((escaped(mark.submission), *cells, escaped("; ".join(mark.quiz_remarks))))
    titles = [f'<abbr title="{escaped(TITLES[n])}">{n}</abbr>' for n in sorted(TITLES)]
    head = (
        f"{len(takers)} of {len(marks)} have taken it: right answers of {len(LETTERS)}, by chapter"
    )
    return folded(head, table(("", *titles, "remarks"), rows))


def remarks(marks: list[Mark]) -> str:
    """What the grading remarked on submissions, and those in which nothing was tried."""
    lines = [f"{mark.submission}: {remark}" for mark in marks for remark in mark.remarks]
    idle = [m.submission for m in marks if all(t.verdict == TO_DO for t in m.todos)]
    if idle:
        lines.append(f"Nothing was written yet: {', '.join(idle)}")
    return bullets([*map(escaped, lines)])
