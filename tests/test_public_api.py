"""The public names and signatures, as public_api.txt lists them.

A change of the list is a change that users see: it wants a line in the changelog. To write the list
anew: ``python tests/test_public_api.py``.
"""

import importlib
import inspect
import re
from pathlib import Path

LIST = Path(__file__).with_name("public_api.txt")

MODULES = ("skem", "skem.datasets", "skem.deep", "skem.em", "skem.inspection", "skem.maxent",
           "skem.mixture", "skem.topics")  # fmt: skip

# Methods that scikit-learn makes.
GENERATED = re.compile(r"set_\w+_request")


def signature(function):
    """Parameters and defaults, without annotations."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # an exception that takes what all exceptions take
        return ""
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in parameters]
    text = str(inspect.Signature(bare))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def members(cls):
    """Lines of the public methods and properties that skem defines."""
    for name in sorted(dir(cls)):
        owner = next((c for c in cls.__mro__ if name in vars(c)), None)
        own = owner is not None and owner.__module__.partition(".")[0] == "skem"
        if name.startswith("_") or not own or GENERATED.fullmatch(name):
            continue
        value = inspect.getattr_static(cls, name)
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        yield f"{name}{signature(value)}" if callable(value) else name


def lines():
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in sorted(module.__all__):
            value = getattr(module, name)
            path = f"{module_name}.{name}"
            if inspect.isclass(value):
                yield f"{path}{signature(value)}"
                yield from (f"{path}.{member}" for member in members(value))
            elif callable(value):
                yield f"{path}{signature(value)}"
            else:
                yield path


def test_public_names_and_signatures_are_those_of_the_list():
    assert list(lines()) == LIST.read_text(encoding="utf-8").splitlines()


def test_sample_weight_follows_y_in_every_fit():
    for line in lines():
        fit = re.search(r"\.(fit|partial_fit|fit_transform)\((.*)\)$", line)
        if fit and "sample_weight" in fit[2]:
            assert re.match(r"self, X, y(=None)?, sample_weight=None", fit[2]), line


if __name__ == "__main__":
    LIST.write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
