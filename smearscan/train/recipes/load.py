"""Recipes from TOML: one file a row of a table, most of them a few lines on top of another."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smearscan.errors import SettingsError
from smearscan.resources import configs_folder
from smearscan.train.recipes.recipe import Recipe


def list_recipes() -> list[str]:
    """Names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Parameters
    ----------
    name
        One of `list_recipes`, or the path of a TOML file.
    changes
        `key=value`, keys dotted (`optimiser.rate=0.001`), values as in TOML; a bare word is a text.

    Raises
    ------
    SettingsError
        If the file is absent or no recipe, or a change names what a recipe does not have.
    """
    table = _table(name)
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"--set {change!r} is no key=value", "write it as --set optimiser.rate=0.001")
        _put(table, key.strip().split("."), _value(value.strip()), change)
    try:
        return Recipe.model_validate(table)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "recipe"
        raise SettingsError(f"recipe {name}: {key}: {first['msg']}", "mend that key") from error


def _folder() -> Path:
    return configs_folder() / "recipes"


def _table(name: str, seen: tuple[str, ...] = ()) -> dict[str, Any]:
    """The file's table on top of the one it extends."""
    path = Path(name) if name.endswith(".toml") else _folder() / f"{name}.toml"
    if name in seen:
        raise SettingsError(f"recipe {path} extends itself by way of {' → '.join(seen)}", "break the circle")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"there is no recipe {name!r}", f"choose one of {', '.join(list_recipes())}") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"the recipe {path} cannot be read: {error}", "mend the file") from error
    base = table.pop("extends", None)
    merged = table if base is None else _merged(_table(base, (*seen, name)), table)
    return {**merged, "name": path.stem.lower()}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    out = dict(below)
    for key, value in above.items():
        # A network's options go with the network: another one does not inherit them.
        is_table = isinstance(value, Mapping) and isinstance(out.get(key), Mapping) and key != "options"
        out[key] = _merged(out[key], value) if is_table else value
    if "network" in above and above["network"] != below.get("network") and "options" not in above:
        out.pop("options", None)
    return out


def _put(table: dict[str, Any], path: Sequence[str], value: Any, change: str) -> None:
    for part in path[:-1]:
        inner = table.setdefault(part, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"--set {change!r}: {part} has no keys of its own", "see the recipe's file")
        table = inner
    table[path[-1]] = value


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
