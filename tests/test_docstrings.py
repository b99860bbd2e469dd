"""Every public class, method, property and function has a complete numpydoc docstring."""

import importlib
import inspect
import re
from collections import namedtuple
from types import MemberDescriptorType

import pytest
from numpydoc.validate import validate

PUBLIC_MODULES = (
    "skem",
    "skem.datasets",
    "skem.deep",
    "skem.em",
    "skem.inspection",
    "skem.maxent",
    "skem.mixture",
    "skem.topics",
)

IGNORED = {
    "ES01": "a summary may say everything",
    "GL01": "a summary starts on the line of the opening quotes, as the formatter has it",
    "RT02": "a return value has a name, as in scikit-learn",
    "SA01": "no 'See Also' section needed",
    "SA04": "names in 'See Also' need no description",
    "SS06": "a summary may be a formula over several lines",
}
IGNORED_IN_PROTOCOLS = IGNORED | {
    "PR01": "a protocol has no constructor",
}
IGNORED_IN_MEMBERS = IGNORED | {
    "EX01": "the example of a method or property is that of its class",
    "RT03": "a return value may be a bare name, such as self",
    "YD01": "a generator need not have a 'Yields' section",
}

# Methods that scikit-learn writes, docstring included, when a class is created.
GENERATED = re.compile(r"set_\w+_request")

# Fields of named tuples, and slots: they are parameters of their class, and documented there.
FIELDS = (type(namedtuple("Pair", "a b").a), MemberDescriptorType)


def value_at(path):
    """The class or function with that import path."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def public_objects():
    """Import path of each public class and function, by the module that defines it."""
    paths = set()
    for module_name in PUBLIC_MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                paths.add(f"{value.__module__}.{value.__qualname__}")
    return sorted(paths)


def public_members():
    """Import path of each public method and property that skem defines or inherits from itself."""
    paths = set()
    for path in public_objects():
        value = value_at(path)
        if not inspect.isclass(value):
            continue
        for cls in value.__mro__:
            if cls.__module__.split(".")[0] != "skem":
                continue
            for member, attribute in vars(cls).items():
                if member.startswith("_") or GENERATED.fullmatch(member):
                    continue
                if hasattr(attribute, "__get__") and not isinstance(attribute, FIELDS):
                    paths.add(f"{cls.__module__}.{cls.__qualname__}.{member}")
    return sorted(paths)


def complaints(path, ignored):
    """What numpydoc says about the object at `path`."""
    return [f"{code} {text}" for code, text in validate(path)["errors"] if code not in ignored]


@pytest.mark.parametrize("path", public_objects())
def test_public_object(path):
    is_protocol = getattr(value_at(path), "_is_protocol", False)
    assert complaints(path, IGNORED_IN_PROTOCOLS if is_protocol else IGNORED) == []


@pytest.mark.parametrize("path", public_members())
def test_public_member(path):
    assert complaints(path, IGNORED_IN_MEMBERS) == []
