"""``selected_operators.yaml``: what a build of torch with chosen operators alone reads. Needs no torch."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import yaml

from ..errors import FootprintError

_MOST_BYTES: Final = 64 << 20  # lists of all operators of torch take one

_FLAGS: Final = ("is_used_for_training", "is_root_operator", "include_all_overloads")
_OPERATOR_KEYS: Final = frozenset({*_FLAGS, "name", "debug_info"})
_KEYS: Final = frozenset(
    {
        "include_all_non_op_selectives",
        "include_all_operators",
        "debug_info",
        "operators",
        "kernel_metadata",
        "et_kernel_metadata",
        "custom_classes",
        "build_features",
    }
)


@dataclass(frozen=True, slots=True)
class SelectedOperator:
    """How an operator is selected.

    Attributes:
        is_root: whether a model names it; others are called by operators.
        is_training: whether it must be differentiable.
        all_overloads: whether all overloads of its name are meant.
        debug_info: notes, of no effect.
    """

    is_root: bool = True
    is_training: bool = True
    all_overloads: bool = True
    debug_info: tuple[str, ...] = ()

    def joined(self, other: SelectedOperator) -> SelectedOperator:
        """Return what meets both needs."""
        return SelectedOperator(
            self.is_root or other.is_root,
            self.is_training or other.is_training,
            self.all_overloads or other.all_overloads,
            _together(self.debug_info, other.debug_info),
        )


@dataclass(frozen=True, slots=True)
class OperatorSelection:
    """What a build is to hold.

    Attributes:
        operators: how each is selected, by name.
        kernel_metadata: types of elements that kernels are built for, by tag of kernel.
        et_kernel_metadata: kernels of ExecuTorch, by operator.
        custom_classes: names of classes in C++.
        build_features: names of features.
        include_all_non_op_selectives: whether the build has all types of elements, classes and features,
            whatever is listed.
        include_all_operators: whether the build has all operators, whatever is listed.
        debug_info: notes, of no effect; the first is JSON.
    """

    operators: Mapping[str, SelectedOperator] = field(default_factory=dict)
    kernel_metadata: Mapping[str, frozenset[str]] = field(default_factory=dict)
    et_kernel_metadata: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    custom_classes: frozenset[str] = frozenset()
    build_features: frozenset[str] = frozenset()
    include_all_non_op_selectives: bool = False
    include_all_operators: bool = False
    debug_info: tuple[str, ...] = ()

    def is_selected(self, operator: str) -> bool:
        """Whether a build of this selection has an operator."""
        if self.include_all_operators or operator in self.operators:
            return True
        base = self.operators.get(operator.partition(".")[0])
        return base is not None and base.all_overloads

    def merged(self, other: OperatorSelection) -> OperatorSelection:
        """Return what a build needs to serve both."""
        return OperatorSelection(
            operators=_joined_operators(self.operators, other.operators),
            kernel_metadata=_joined_sets(self.kernel_metadata, other.kernel_metadata),
            et_kernel_metadata={
                name: tuple(sorted(keys))
                for name, keys in _joined_sets(
                    self.et_kernel_metadata, other.et_kernel_metadata
                ).items()
            },
            custom_classes=self.custom_classes | other.custom_classes,
            build_features=self.build_features | other.build_features,
            include_all_non_op_selectives=self.include_all_non_op_selectives
            or other.include_all_non_op_selectives,
            include_all_operators=self.include_all_operators or other.include_all_operators,
            debug_info=_together(self.debug_info, other.debug_info),
        )

    def to_yaml(self) -> str:
        """Return the text of a ``selected_operators.yaml``: roots first, all else by name.

        The same selection gives the same text.
        """
        roots_first = sorted(
            self.operators.items(), key=lambda item: (not item[1].is_root, item[0])
        )
        content: dict[str, Any] = {
            "include_all_non_op_selectives": self.include_all_non_op_selectives,
            "include_all_operators": self.include_all_operators,
            "build_features": sorted(self.build_features),
            "operators": {name: _written(operator) for name, operator in roots_first},
            "kernel_metadata": _sorted_lists(self.kernel_metadata),
            "custom_classes": sorted(self.custom_classes),
        }
        if self.et_kernel_metadata:
            content["et_kernel_metadata"] = _sorted_lists(self.et_kernel_metadata)
        if self.debug_info:
            content["debug_info"] = list(self.debug_info)
        return yaml.safe_dump(
            content, default_flow_style=False, sort_keys=False, allow_unicode=False, width=10**9
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write ``selected_operators.yaml`` whole or not at all, and return its path.

        Raises:
            FootprintError: it cannot be written.
        """
        target = Path(path)
        try:
            write_whole(target, self.to_yaml())
        except OSError as error:
            raise FootprintError(f"cannot write {target}: {error.strerror or error}") from error
        return target


def merge(selections: Iterable[OperatorSelection]) -> OperatorSelection:
    """Return what a build needs to serve all of some selections."""
    whole = OperatorSelection()
    for selection in selections:
        whole = whole.merged(selection)
    return whole


def read_selection(path: str | os.PathLike[str]) -> OperatorSelection:
    """Read a ``selected_operators.yaml``, by whatever tool it was written.

    Raises:
        FootprintError: the file cannot be read, or is none.
    """
    text = read_list_text(path)
    try:
        return parse_selection(text)
    except FootprintError as error:
        raise FootprintError(f"{Path(path)} is no selected_operators.yaml: {error}") from error


def read_list_text(path: str | os.PathLike[str]) -> str:
    """Return the text of a file that is to be a list of operators.

    Raises:
        FootprintError: it cannot be read, or is too large for one.
    """
    target = Path(path)
    try:
        found = target.stat()
        if not stat.S_ISREG(found.st_mode):
            raise FootprintError(f"{target} is no file")  # a pipe would be waited for
        if found.st_size > _MOST_BYTES:
            raise FootprintError(f"{target} is no list of operators: it has {found.st_size} bytes")
        return target.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FootprintError(f"{target} is no list of operators: it is no text") from error
    except OSError as error:
        raise FootprintError(f"cannot read {target}: {error.strerror or error}") from error


def parse_selection(text: str) -> OperatorSelection:
    """Read the text of a ``selected_operators.yaml``. Nothing in it can run code.

    Raises:
        FootprintError: it is none; the message says where.
    """
    content = parse_yaml(text)
    if not isinstance(content, dict):
        raise FootprintError("it must have keys such as operators: at its top")
    for key in content:
        if key not in _KEYS:
            raise FootprintError(
                f"there is no key {_kind(key)}; known are {', '.join(sorted(_KEYS))}"
            )
    return OperatorSelection(
        operators={
            _word("operators", name): _operator(name, facts)
            for name, facts in _mapping(content, "operators").items()
        },
        kernel_metadata=_word_sets(content, "kernel_metadata"),
        et_kernel_metadata={
            name: tuple(sorted(keys))
            for name, keys in _word_sets(content, "et_kernel_metadata").items()
        },
        custom_classes=_words(content, "custom_classes"),
        build_features=_words(content, "build_features"),
        include_all_non_op_selectives=_flag(content, "include_all_non_op_selectives"),
        include_all_operators=_flag(content, "include_all_operators"),
        debug_info=_notes(content, "debug_info"),
    )


def parse_yaml(text: str) -> Any:
    """Return what a text in YAML says. Nothing in it can run code.

    Raises:
        FootprintError: it is none; the message says where.
    """
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise FootprintError(_why_no_yaml(error)) from error


def without_notes(selection: OperatorSelection) -> OperatorSelection:
    """Return a selection with all that has an effect on a build, and nothing else."""
    return replace(
        selection,
        operators={
            name: replace(operator, debug_info=()) for name, operator in selection.operators.items()
        },
        debug_info=(),
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, and move it there when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    place = path.resolve()  # a link stays, and the file that it leads to is replaced
    beside = place.with_name(f".opscope-{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(beside, place)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _written(operator: SelectedOperator) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "is_used_for_training": operator.is_training,
        "is_root_operator": operator.is_root,
        "include_all_overloads": operator.all_overloads,
    }
    if operator.debug_info:
        facts["debug_info"] = list(operator.debug_info)
    return facts


def _sorted_lists(values: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return {name: sorted(values[name]) for name in sorted(values)}


def _joined_operators(
    one: Mapping[str, SelectedOperator], other: Mapping[str, SelectedOperator]
) -> dict[str, SelectedOperator]:
    joined = dict(one)
    for name, operator in other.items():
        joined[name] = joined[name].joined(operator) if name in joined else operator
    return joined


def _joined_sets(
    one: Mapping[str, Iterable[str]], other: Mapping[str, Iterable[str]]
) -> dict[str, frozenset[str]]:
    names = dict.fromkeys([*one, *other])
    return {name: frozenset(one.get(name, ())) | frozenset(other.get(name, ())) for name in names}


def _together(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*one, *other]))


def _why_no_yaml(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).partition("\n")[0] or "nested too deep"
    return f"{problem}, in line {mark.line + 1}" if mark is not None else problem


def _operator(name: Any, facts: Any) -> SelectedOperator:
    if not isinstance(facts, dict):
        raise FootprintError(f"operator {_kind(name)} must have keys such as is_root_operator:")
    for key in facts:
        if key not in _OPERATOR_KEYS:
            raise FootprintError(
                f"operator {_kind(name)} has a key {_kind(key)}, which is not known"
            )
    # As torch reads it, what is not said of an operator is true.
    training, root, overloads = (_flag(facts, flag, default=True) for flag in _FLAGS)
    return SelectedOperator(root, training, overloads, _notes(facts, "debug_info"))


def _mapping(content: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    value = content.get(key, {})
    if not isinstance(value, dict):
        raise FootprintError(f"{key}: must be a mapping, not {_kind(value)}")
    return value


def _flag(content: Mapping[Any, Any], key: str, *, default: bool = False) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise FootprintError(f"{key}: must be true or false, not {_kind(value)}")
    return value


def _words(content: Mapping[Any, Any], key: str, place: str = "") -> frozenset[str]:
    value = content.get(key, [])
    if not isinstance(value, list | set):
        raise FootprintError(f"{place or key}: must be a list of names, not {_kind(value)}")
    return frozenset(_word(place or key, item) for item in value)


def _notes(content: Mapping[Any, Any], key: str) -> tuple[str, ...]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise FootprintError(f"{key}: must be a list of texts, not {_kind(value)}")
    return tuple("None" if item is None else _word(key, item) for item in value)


def _word_sets(content: Mapping[Any, Any], key: str) -> dict[str, frozenset[str]]:
    mapping = _mapping(content, key)
    return {_word(key, name): _words(mapping, name, f"{key}: {_kind(name)}") for name in mapping}


def _word(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise FootprintError(f"{key}: holds {_kind(value)} where a name must stand")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    # What holds others may be written in a few bytes and be endless to print.
    return f"{value!r:.60}" if isinstance(value, str | int | float) else f"a {type(value).__name__}"
