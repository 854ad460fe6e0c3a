"""The book: each link leads somewhere, nothing is from the network, each TODO has an address."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from commands.companion.todos import TODOS
from teacher.book.site import make_book, run_sphinx
from teacher.catalogue import LAB
from teacher.notebooks import scripts
from utils import LabError

LOADED = re.compile(r"""(?:url\(|@import|fetch\(|import\()\s*['"]?((?!url)[^'")\s]+)""")
"""What style sheets and scripts load."""
FORMULA = re.compile(r"\$\$?[^$\n]+\$\$?")


class Page(HTMLParser):
    """The ids of a page, its links, and what a browser loads to show it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids.add(values.get("id"))
        if "href" in values:
            (self.links if tag == "a" else self.loaded).append(values["href"])
        if "src" in values:
            self.loaded.append(values["src"])


def faults(site: Path) -> list[str]:
    """Links of a site that lead nowhere, and what its pages load from elsewhere."""
    pages = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    found = []
    for path, page in pages.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if link in page.loaded and parts.scheme != "data":
                    found.append(f"{path.name} loads {link}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = target.is_file() and site.resolve() in target.parents
            if is_there and parts.fragment and target in pages:
                is_there = unquote(parts.fragment) in pages[target].ids
            if not is_there:
                found.append(f"{path.name} links to {link}")
    for path in [*site.rglob("*.css"), *site.rglob("*.js")]:
        text = path.read_text(encoding="utf-8")
        for address in LOADED.findall(text):
            if address.startswith(("http:", "https:", "//")):
                found.append(f"{path.name} loads {address}")
    return found


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The book with its notebooks as they are written, not run."""
    target = tmp_path_factory.mktemp("book") / "the site"
    assert make_book(target, run=False) >= 21
    return target


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(book):
    assert faults(book) == []


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('<a href="missing.html">', "links to missing.html"),
        ('<a href="search.html#nowhere">', "links to search.html#nowhere"),
        ('<img src="https://example.org/a.png">', "loads https://example.org/a.png"),
        ('<link href="//example.org/a.css">', "loads //example.org/a.css"),
        ('<a href="../../outside.html">', "links to ../../outside.html"),
    ],
)
def test_the_test_of_links_finds_a_planted_fault(tmp_path, line, fault):
    (tmp_path / "search.html").write_text("")
    (tmp_path / "index.html").write_text(line)
    assert [each.partition(" ")[2] for each in faults(tmp_path)] == [fault]


@pytest.mark.parametrize(
    "line", ['@import url("{}");', "@import '{}';", "a {{ src: url({}) }}", 'fetch("{}")']
)
def test_the_test_of_links_reads_styles_and_scripts(tmp_path, line):
    (tmp_path / "a.css").write_text(line.format("https://example.org/a"))
    (tmp_path / "b.js").write_text(line.format("data:a") + line.format("b.css"))
    assert faults(tmp_path) == ["a.css loads https://example.org/a"]


def test_each_todo_has_an_address_in_its_chapter_and_a_link_on_the_cover(book):
    cover = Page(book / "index.html").links
    for todo in TODOS:
        chapter, number = todo.number.split(".")
        (page,) = book.glob(f"subject/{int(chapter):02}_*.html")
        anchor = f"todo-{chapter}-{number}"
        assert anchor in Page(page).ids
        assert f"subject/{page.name}#{anchor}" in cover
        beside = re.search(
            rf'<strong id="{anchor}"><a [^>]*>TODO {todo.number}\b', page.read_text("utf-8")
        )
        assert beside, todo.number
    for script in scripts():
        assert f"notebooks/{script.stem}.html" in cover


def test_every_page_of_the_text_is_there_with_its_figures(book):
    for path in (LAB / "subject").glob("*.md"):
        text = path.read_text(encoding="utf-8")
        page = (book / "subject" / f"{path.stem}.html").read_text(encoding="utf-8")
        assert page.count("<img ") >= text.count("](figures/"), path.name
        plain = re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)
        assert page.count("<math ") == len(FORMULA.findall(plain)), path.name
        assert "$" not in re.sub(r"<pre.*?</pre>|<code.*?</code>", "", page, flags=re.DOTALL)


def test_the_search_finds_words_of_text_and_notebooks(book):
    index = (book / "searchindex.js").read_text(encoding="utf-8")
    assert index.startswith("Search.setIndex(")  # a script: it works without a server
    assert "subject/04_metrics" in index and "notebooks/04_metrics" in index
    assert "motorcycl" in index


def test_a_page_has_a_switch_for_dark_mode_and_a_style_for_paper(book):
    page = (book / "subject" / "03_unet.html").read_text(encoding="utf-8")
    assert "theme-toggle" in page and "book.css" in page
    styles = "".join(path.read_text(encoding="utf-8") for path in book.rglob("*.css"))
    assert "prefers-color-scheme: dark" in styles or "prefers-color-scheme:dark" in styles
    assert ".skip-to-content, .toc-drawer { display: none; }" in styles
    code = (book / "_static" / "pygments.css").read_text(encoding="utf-8")
    assert ".nn {" in code and "underline" not in code  # what is underlined looks like a link


def test_no_page_shows_the_cell_that_finds_the_lab_or_tells_of_this_machine(book):
    for path in book.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert "unpack_archive" not in text
        assert str(LAB) not in text and "site-packages" not in text
    assert not list(book.rglob(".*")) and not list(book.rglob("*.doctree"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("# Page\n\n[away](missing.md)", "missing.md"),
        ("# Page\n\n$\\nothing$", "nothing"),
    ],
)
def test_a_page_that_is_broken_is_an_error_of_one_line(tmp_path, text, words):
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "index.md").write_text(text)
    with pytest.raises(LabError, match=rf"^the book cannot be made: index\.md:.*{words}") as error:
        run_sphinx(tmp_path / "pages", tmp_path / "site")
    assert "\n" not in error.value.line


def test_the_address_of_a_todo_is_in_its_own_chapter_whoever_else_names_it(tmp_path):
    pages, site = tmp_path / "pages", tmp_path / "site"
    (pages / "subject").mkdir(parents=True)
    (pages / "index.md").write_text("# A\n\n```{toctree}\n:glob:\nsubject/*\n```\n")
    (pages / "subject" / "02_a.md").write_text("# B\n\n**TODO 3.1** comes later.\n")
    (pages / "subject" / "03_b.md").write_text("# C\n\n**TODO 3.1** is here, **TODO 3.1**.\n")
    run_sphinx(pages, site)
    assert "todo-3-1" not in Page(site / "subject" / "02_a.html").ids
    assert (site / "subject" / "03_b.html").read_text("utf-8").count('id="todo-3-1"') == 1


def test_only_a_book_is_replaced(tmp_path, monkeypatch):
    def write(pages: Path, site: Path) -> None:
        site.mkdir()
        (site / "index.html").write_text("new")
        (site / "objects.inv").write_text("")

    monkeypatch.setattr("teacher.book.site.run_sphinx", write)
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.md").write_text("mine")
    for target in (mine, mine / "thesis.md"):
        with pytest.raises(LabError, match="holds something that is no book"):
            make_book(target, run=False)
    assert make_book(tmp_path / "book", run=False) == 1
    (tmp_path / "book" / "old.html").write_text("old")
    assert make_book(tmp_path / "book", run=False) == 1  # the old page is gone
    assert sorted(path.name for path in tmp_path.iterdir()) == ["book", "mine"]


def test_a_book_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "objects.inv").write_text("")

    def fail(pages: Path, site: Path) -> None:
        raise LabError("broken")

    monkeypatch.setattr("teacher.book.site.run_sphinx", fail)
    with pytest.raises(LabError, match="broken"):
        make_book(tmp_path / "book", run=False)
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
    assert (tmp_path / "book" / "objects.inv").is_file()


@pytest.mark.slow
def test_the_notebooks_run_and_their_pictures_are_in_the_book(tmp_path):
    assert make_book(tmp_path / "book") >= 21
    assert faults(tmp_path / "book") == []
    for script in scripts():
        page = tmp_path / "book" / "notebooks" / f"{script.stem}.html"
        text = page.read_text(encoding="utf-8")
        assert text.count('src="../_images/') >= 3, script.stem
        assert 'class="output stderr' not in text and "site-packages" not in text, script.stem
