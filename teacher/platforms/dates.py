"""Dates as Moodle writes them for people, in the languages whose months are listed here.

Moodle's default is a day of the week, day, month in words, year and time of day, in an order of
the language (`strftimedaydatetime` of its language packs). A date in digits alone is read where
its order is certain: year-month-day, and day.month.year.
"""

import re
from datetime import datetime, timedelta

MONTHS = (
    "january januar jänner janvier enero gennaio janeiro januari stycznia",
    "february februar feber février febrero febbraio fevereiro februari lutego",
    "march märz mars marzo março maart marts marca",
    "april avril abril aprile kwietnia",
    "may mai mayo maggio maio mei maj maja",
    "june juni juin junio giugno junho czerwca",
    "july juli juillet julio luglio julho lipca",
    "august août agosto augustus augusti sierpnia",
    "september septembre septiembre settembre setembro września",
    "october oktober octobre octubre ottobre outubro października",
    "november novembre noviembre novembro listopada",
    "december dezember décembre diciembre dicembre dezembro desember grudnia",
)
"""English, German, French, Spanish, Italian, Portuguese, Dutch, Scandinavian, Polish."""
MONTH_OF = {word: number for number, words in enumerate(MONTHS, 1) for word in words.split()}
TIME = re.compile(r"\b(\d{1,2})[:.h](\d{2})(?::\d{2})?\s*([ap])?\.?m?\b", re.IGNORECASE)
ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
DIGITS = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")


def parse_date(text: str) -> datetime | None:
    """A date with its time of day; None when it is none that is certain."""
    text = text.casefold().replace("\u202f", " ").replace("\u00a0", " ")
    iso, digits = ISO.search(text), DIGITS.search(text)
    if iso:
        rest, date = text[iso.end() :], tuple(int(each) for each in iso.groups())
    elif digits:
        rest, date = text[digits.end() :], tuple(int(each) for each in reversed(digits.groups()))
    else:
        months = [MONTH_OF[word] for word in re.findall(r"[^\W\d_]+", text) if word in MONTH_OF]
        year = re.search(r"\b\d{4}\b", text)
        times = list(TIME.finditer(text))
        if len(months) != 1 or year is None or not times:
            return None
        rest = text[times[-1].start() :]
        day = re.search(r"\b\d{1,2}\b", text[: times[-1].start()].replace(year[0], " "))
        date = (int(year[0]), months[0], int(day[0]) if day else 0)
    time = TIME.search(rest)
    if time is None:
        return None
    hour = int(time[1])
    if time[3]:
        hour = hour % 12 + (12 if time[3] == "p" else 0)
    try:
        return datetime(*date, hour, int(time[2]))
    except ValueError:
        return None


def days_late(submitted: datetime, deadline: datetime) -> int:
    """How many days after a deadline were begun; 0 when it was met to the minute."""
    late = submitted - deadline
    return max(0, -(-late // timedelta(days=1)))
