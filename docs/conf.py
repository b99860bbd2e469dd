"""Configuration of the documentation, as Sphinx reads it."""

import re
import sys
from pathlib import Path

import skem

sys.path.insert(0, str(Path(__file__).parent))
import gallery

project = "skem"
author = "The skem developers"
project_copyright = author
version = release = skem.__version__

extensions = [
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx-mathjax-offline",  # MathJax comes with the pages: they need no network
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates"]
default_role = "py:obj"

html_theme = "pydata_sphinx_theme"
html_title = f"skem {release}"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_favicon = "_static/favicon.svg"
html_theme_options = {
    "header_links_before_dropdown": 4,
    "navigation_with_keys": False,
    "show_prev_next": False,
}
html_context = {"default_mode": "auto"}
# Pages without pages below them have the width of the empty sidebar.
ALONE = ("getting_started", "benchmarks/index", "add_a_model", "extending", "design")
html_sidebars = {page: [] for page in ALONE}

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False

# The gallery runs each examples/*/plot_*.py and shows its figures.
sphinx_gallery_conf = {
    "examples_dirs": str(Path(__file__).parent.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "subsection_order": [f"../examples/{section}" for section in gallery.ORDER],
    "within_subsection_order": "gallery.InOrder",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",
    "reset_modules": ("matplotlib", "gallery.set_style"),
    "image_srcset": ["2x"],  # sharp on dense screens
    "doc_module": ("skem",),
    "backreferences_dir": "api/generated/backreferences",
    "reference_url": {"skem": None},
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}


def skip_member(app, what, name, obj, skip, options):
    """Leave out what scikit-learn defines or generates: its docstrings refer to its own pages."""
    module = getattr(obj, "__module__", None) or ""
    if module.split(".")[0] == "sklearn" or re.fullmatch(r"set_\w+_request", name):
        return True
    return None


def setup(app):
    app.connect("autodoc-skip-member", skip_member)
