"""Local Sphinx extension: ``.. api:: module`` lists the public names of a module in a table, and then documents each.

The lists come from the modules themselves, so that no name is forgotten. What ``margin_lab`` itself offers is documented there,
by its short name, and only linked from the tables of the module that it lives in.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
from importlib import import_module
from typing import Any

from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.autosummary import extract_summary
from sphinx.util.docutils import SphinxDirective

import margin_lab

_LONGEST_VALUE = 60


def public_names(module: str) -> list[str]:
    """What a module offers: its ``__all__``, or the functions and classes that it defines; modules left out."""
    m = import_module(module)
    names = getattr(m, "__all__", None) or [
        name
        for name, value in vars(m).items()
        if name[0] != "_"
        and (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == module
    ]
    return [name for name in names if not isinstance(getattr(m, name), types.ModuleType)]


def home(module: str, name: str) -> str:
    """The module under which a name is documented: ``margin_lab`` itself where it offers it."""
    value = getattr(import_module(module), name)
    return "margin_lab" if getattr(margin_lab, name, None) is value and name in margin_lab.__all__ else module


class Api(SphinxDirective):
    """``.. api:: module``; ``:names:`` for a part of it, ``:files:`` with the words that open the files of a package."""

    required_arguments = 1
    option_spec = {"names": directives.unchanged_required, "files": directives.flag}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        module = self.arguments[0]
        names = self.options["names"].split() if "names" in self.options else public_names(module)
        if "files" in self.options:
            files = list(dict.fromkeys(_file(module, name) for name in names))
            names = sorted(names, key=lambda name: files.index(_file(module, name)))
        words = [] if module == "margin_lab" else [f".. automodule:: {module}", "   :no-members:", ""]
        lines = [*words, f".. currentmodule:: {module}", "", *self._table(module, names), ""]
        file = module
        for name in names:
            if home(module, name) != module:
                continue
            if "files" in self.options and (own := _file(module, name)) not in (file, module):
                # not automodule: a function of the same name may be documented under the same address
                lines += [*inspect.cleandoc(import_module(file := own).__doc__ or "").splitlines(), ""]
            lines += [*_entry(module, name), ""]
        found = nodes.Element()
        self.state.nested_parse(StringList(lines, source=f"<api of {module}>"), self.content_offset, found)
        return found.children

    def _table(self, module: str, names: list[str]) -> list[str]:
        lines = [".. list-table::", "   :class: api-summary", "   :widths: auto", ""]
        for name in names:
            summary = self._summary(getattr(import_module(module), name))
            lines += [f"   * - :py:obj:`{name} <{home(module, name)}.{name}>`", f"     - {summary}"]
        return lines

    def _summary(self, value: Any) -> str:
        if not (inspect.isroutine(value) or inspect.isclass(value)):
            return _value(value)
        paragraph = " ".join((inspect.getdoc(value) or "").partition("\n\n")[0].splitlines())
        sentence = extract_summary([paragraph], self.state.document)
        return paragraph if sentence.count("``") % 2 else sentence  # cut inside a formula


def _file(module: str, name: str) -> str:
    """The module in which a name is defined; for constants, the one that offers it."""
    return str(getattr(getattr(import_module(module), name), "__module__", module))


def _entry(module: str, name: str) -> list[str]:
    value = getattr(import_module(module), name)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        # the fields of a dataclass stand in its docstring; one whose default is a function would come twice
        fields = (
            ", ".join(field.name for field in dataclasses.fields(value))
            if dataclasses.is_dataclass(value)
            else ""
        )
        options = ["   :members:", *([f"   :exclude-members: {fields}"] if fields else [])]
        return [f".. {kind}:: {module}.{name}", *([] if kind == "autoexception" else options)]
    if inspect.isroutine(value):
        return [f".. autofunction:: {module}.{name}"]
    return [f".. py:data:: {name}", "", f"   {_value(value)}"]


def _value(value: Any) -> str:
    """A constant: its value where that is short, the keys of a table."""
    if isinstance(value, dict):
        return f"A table by {', '.join(f'``{key!r}``' for key in value)}."
    text = repr(value)
    return f"``{text}``" if len(text) <= _LONGEST_VALUE else f"A constant of type ``{type(value).__name__}``."


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("api", Api)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
