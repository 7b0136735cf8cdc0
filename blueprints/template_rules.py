"""What the operator allows templates: where they come from, and which code of theirs runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

SOURCES = "STEPWAY_TEMPLATE_SOURCES"
EXTENSIONS = "STEPWAY_TEMPLATE_EXTENSIONS"
TRUSTED = "STEPWAY_TRUSTED_BLUEPRINTS"

SHIPPED = frozenset(
    {
        "jinja2.ext.debug",
        "jinja2.ext.do",
        "jinja2.ext.i18n",
        "jinja2.ext.loopcontrols",
        "jinja2.ext.ExprStmtExtension",
        "jinja2.ext.InternationalizationExtension",
        "jinja2.ext.LoopControlExtension",
        "jinja2_ansible_filters.AnsibleCoreFiltersExtension",
        "copier.jinja_ext.YieldExtension",
        "copier._jinja_ext.YieldExtension",
    }
)
"""The Jinja extensions that come with Jinja and with Copier."""

# They run Python files of the template.
_LOADERS = ("copier_templates_extensions", "copier_template_extensions")


@dataclass(frozen=True)
class TemplateRules:
    """The operator's settings about templates.

    `sources` are beginnings of URLs; without any, templates come from the https and ssh URLs that
    blueprints themselves write. `trusted` are names of blueprints. `extensions` are import names.
    """

    sources: Sequence[str] = ()
    trusted: Sequence[str] = ()
    extensions: Sequence[str] = ()

    def trusts(self, blueprint: str) -> bool:
        """Whether the templates of a blueprint may run code of their own."""
        return blueprint in self.trusted

    def source_problem(self, url: str, *, is_written: bool) -> str:
        """Why no template may come from a normalized URL; empty if it may.

        `is_written`: the URL is written in the blueprint and is not a parameter.
        """
        if self.sources:
            listed = any(_begins(url, source) for source in self.sources)
            return "" if listed else f"{SOURCES} does not list {url}"
        if urlsplit(url).scheme not in ("https", "ssh"):
            return f"{SOURCES} must list {urlsplit(url).scheme} URLs: add {_folder(url)} to it"
        if not is_written:
            return f"the URL comes from a value, so {SOURCES} must list where templates may be"
        return ""

    def extension_problem(self, name: str, blueprint: str) -> str:
        """Why a template may not use a Jinja extension; empty if it may."""
        if self.trusts(blueprint):
            return "" if _is_code(name) else _installed(name)
        if _is_code(name):
            return f"the Jinja extension {name} runs code of the template: {allow(blueprint)}"
        if name not in SHIPPED and name not in self.extensions:
            return f"the Jinja extension {name} is not allowed: add it to {EXTENSIONS}"
        return _installed(name)


def allow(blueprint: str) -> str:
    """How an operator lets the templates of a blueprint run code."""
    return f"if you trust it, add {blueprint or 'the blueprint'} to {TRUSTED}"


def _begins(url: str, source: str) -> bool:
    """Whether a URL is below a listed one: on the same host, in the same folder."""
    if not url.startswith(source):
        return False
    rest = url[len(source) :]
    # `https://github.com` must not allow `https://github.com.example.org/`.
    return source.endswith("/") or not rest or rest.startswith("/")


def _folder(url: str) -> str:
    return url.rpartition("/")[0] + "/"


def _is_code(name: str) -> bool:
    module = name.partition(".")[0]
    return ":" in name or "/" in name or module in _LOADERS


def _installed(name: str) -> str:
    package = name.partition(".")[0]
    try:
        found = find_spec(package)
    except (ImportError, ValueError):
        found = None
    missing = f"the Jinja extension {name} is not installed: install its package"
    return "" if found else f"{missing} for API and workers"
