"""Formulas as MathML, which browsers draw themselves: the site fetches nothing, and screen readers can read it."""

import re

from docutils import nodes
from latex2mathml.converter import convert

# Names of functions, between thin spaces; none before a bracket.
FUNCTION = re.compile(r"<mi>(log|ln|exp|cos|sin|tanh|coth|max|min)</mi>(?=(<mo[^>]*>&#x00028;)?)")


def mathml(formula, display):
    """Return a formula of LaTeX as MathML."""
    if r"\\" in formula and r"\begin" not in formula:
        formula = rf"\begin{{align*}}{formula}\end{{align*}}"
    return FUNCTION.sub(_spaced, convert(formula, display=display))


def _spaced(found):
    after = "0" if found[2] else ".17em"
    return f'<mo form="infix" lspace=".17em" rspace="{after}">{found[1]}</mo>'


def inline(self, node):
    """Write a formula within a sentence."""
    self.body.append(mathml(node.astext(), "inline"))
    raise nodes.SkipNode


def block(self, node):
    """Write a formula on lines of its own, aligned at the signs &."""
    self.body.append(
        self.starttag(node, "div", CLASS="formula", tabindex="0") + mathml(node.astext(), "block") + "</div>\n"
    )
    raise nodes.SkipNode


def setup(app):
    """Make it the renderer `html_math_renderer = "mathml"`."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
