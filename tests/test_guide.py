"""Pages of the user guide begin with code that runs, and have the mathematics after it."""

import re
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).parents[1] / "docs" / "user_guide").glob("*.rst"))
MODELS = [page for page in PAGES if page.stem != "index"]


@pytest.mark.parametrize("page", MODELS, ids=lambda page: page.stem)
def test_code_and_what_it_prints_come_before_the_first_formula(page):
    text = page.read_text(encoding="utf-8")
    before = text[: re.search(r":math:|\.\. math::", text).start()]
    code = re.findall(r"^>>> .*(?:\n(?:\.\.\.|>>>) .*)*\n(?!\n)[^>.]", before, flags=re.MULTILINE)
    assert code, "no lines of code with an output before the first formula"
