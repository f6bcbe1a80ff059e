"""Sphinx configuration: `python -m sphinx -W docs docs/_build/html`."""

import os
import re
import sys
from pathlib import Path

import skhamiltonian

sys.path.insert(0, str(Path(__file__).parent))  # gallery_order, mathml
from gallery_order import crop_thumbnails

project = "skhamiltonian"
copyright = "skhamiltonian developers"
author = "skhamiltonian developers"
version = release = skhamiltonian.__version__

extensions = [
    "mathml",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/*.ipynb"]
nitpicky = False

autosummary_generate = True
# Types stand in the docstrings, where people can read them.
autodoc_typehints = "none"
toc_object_entries_show_parents = "hide"
# Methods that scikit-learn adds for metadata routing; their docstrings refer to its own pages.
routing = ("fit", "partial_fit", "predict", "score", "transform")
autodoc_default_options = {"exclude-members": ", ".join(f"set_{name}_request" for name in routing)}
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "reference_url": {"skhamiltonian": None},
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "parallel": os.cpu_count(),
    "capture_repr": ("_repr_html_",),  # addresses of objects in memory inform nobody
    "within_subsection_order": "gallery_order.position",
}

html_math_renderer = "mathml"
html_theme = "pydata_sphinx_theme"
html_title = "skhamiltonian"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "show_toc_level": 2,
    # Not on pages of the gallery (auto_examples): code of 88 columns needs the width.
    "secondary_sidebar_items": {"[!a]*": ["page-toc"], "api*": ["page-toc"], "auto_examples/*": []},
    "header_links_before_dropdown": 6,
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
}
# Only the guide, the gallery and the API have pages below them; elsewhere an empty sidebar would take much width.
html_sidebars = {page: [] for page in ("install", "trust", "real_data", "migration")}
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# `nox -s links`. Anchors are made by scripts on many sites, so only pages are checked.
linkcheck_anchors = False
linkcheck_timeout = 20


def without_wrong_roles(app, page, template, context, doctree):
    """Take off roles that docutils gives lists of references, and that screen readers do not accept there."""
    if "body" in context:
        for role in ("list", "doc-biblioentry", "doc-backlink"):
            context["body"] = re.sub(rf'(<(?:div|span|a) [^>]*?) ?role="{role}"', r"\1", context["body"])


def without_folders(app, docname, source):
    """Take the folder of the building machine off the warnings that examples print."""
    if docname.startswith("auto_examples/"):
        source[0] = source[0].replace(f"{Path(app.srcdir).parent / 'examples'}{os.sep}", "")


def setup(app):
    """Connect what needs no extension of its own."""
    app.connect("html-page-context", without_wrong_roles)
    app.connect("source-read", without_folders)
    app.connect("builder-inited", crop_thumbnails, priority=900)  # after sphinx-gallery
