"""Sphinx's configuration of the book; `teacher/book/site.py` calls it.

MyST reads the text and the notebooks, Furo shows them. Formulas become MathML, by docutils, so that
a page needs no script and no font from elsewhere. Each bold "TODO 3.2" of the text, where it comes
first, gets the anchor `todo-3-2` and is a link to itself.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

project = html_title = "Semantic segmentation lab"
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # they come with their outputs

html_theme = "furo"
pygments_dark_style = "a11y-high-contrast-dark"  # as the light one; Furo's own underlines names
html_static_path = ["static"]
html_css_files = ["book.css"]
html_math_renderer = "mathml"
html_copy_source = html_show_sourcelink = html_show_copyright = False
html_use_index = False

TODO = re.compile(r"TODO (\d+)\.(\d+)")


def write_formula(translator: HTML5Translator, node: nodes.Element) -> None:
    """Writes a formula, in the line or by itself, as MathML."""
    is_block = isinstance(node, nodes.math_block)
    try:
        formula = tex2mathml(node.astext(), as_block=is_block)
    except MathError as error:
        getLogger(__name__).warning(f"{error}: {node.astext()}", location=node)
        formula = translator.encode(node.astext())
    translator.body.append(f'<div class="formula">{formula}</div>' if is_block else formula)
    raise nodes.SkipNode


def add_anchors(app: Sphinx, tree: nodes.document) -> None:
    """Gives the first mention of each TODO, in the chapter that it belongs to, its anchor."""
    page = app.env.docname
    for strong in list(tree.findall(nodes.strong)):
        match = TODO.match(strong.astext())
        if match is None or not page.startswith(f"subject/{int(match[1]):02}_"):
            continue
        name = f"todo-{match[1]}-{match[2]}"
        labels = app.env.domains.standard_domain
        if name in labels.anonlabels:
            continue
        labels.anonlabels[name] = page, name
        labels.labels[name] = page, name, match[0]
        strong["ids"].append(name)
        link = nodes.reference("", "", *strong.children, refuri=f"#{name}", internal=True)
        strong.children = []
        strong.append(link)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    app.connect("doctree-read", add_anchors)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
