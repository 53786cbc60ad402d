"""What a program asks of its surroundings: whether modules train, whether gradients are on.

A replay goes the way that the program went then, so it must find them as they were.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from ...ir import SourceRange
from ...ir.conditions import Circumstance, of_setting


class Circumstances:
    """What one program asked for while it ran.

    Attributes:
        own_facts: what is so of tensors, by address, by the program's own doing: facts, each with the answer.
    """

    def __init__(self) -> None:
        self.own_facts: set[tuple[int, tuple[str, bool]]] = set()
        self._training: dict[int, tuple[weakref.ref[torch.nn.Module], str, bool]] = {}
        # Of the first module that trains, or does not.
        self._sources: dict[bool, SourceRange | None] = {}
        # Modules that the program itself has told to train or not, and which of the two it did last.
        self._set: dict[int, tuple[weakref.ref[torch.nn.Module], bool]] = {}
        self._others: dict[str, Circumstance] = {}
        self._facts: dict[tuple[str, bool], _Asked] = {}
        self._settings: set[object] = set()  # those that the program itself has made

    def knows_training(self, module: torch.nn.Module) -> bool:
        """Whether the program has asked before whether a module trains, or has told it."""
        return id(module) in self._training or id(module) in self._set

    def read_training(
        self,
        module: torch.nn.Module,
        name: str,
        value: bool,
        source: Callable[[], SourceRange | None],
    ) -> None:
        """Note that the program asked whether a module of its own trains."""
        if self.knows_training(module):
            return
        self._training[id(module)] = (weakref.ref(module), name, value)
        if value not in self._sources:
            self._sources[value] = source()

    def set_training(self, module: torch.nn.Module, value: bool) -> None:
        """Note that the program told a module to train or not: from now on it knows by itself."""
        self._set[id(module)] = weakref.ref(module), value

    def training(self) -> ModesOfModules:
        """Return what the program told modules to do, for a replay to tell them as well."""
        return ModesOfModules(tuple(self._set.values()))

    def read_mode(
        self, call: str, ask: Callable[[], Any], source: Callable[[], SourceRange | None]
    ) -> None:
        """Note that the program asked, by a function of torch, for a mode that its caller decides on."""
        value = ask()
        text = f"{call} is {value}"
        if text not in self._others:
            self._others[text] = of_setting(call, value, ask, source())

    def read_setting(
        self,
        key: object,
        call: str,
        ask: Callable[[], Any],
        source: Callable[[], SourceRange | None],
    ) -> None:
        """Note that the program asked for a setting, unless it has made that itself."""
        if key not in self._settings:
            self.read_mode(call, ask, source)

    def set_setting(self, key: object) -> None:
        """Note that the program makes a setting: from now on it knows by itself."""
        self._settings.add(key)

    def read_fact(
        self,
        tensor: torch.Tensor,
        fact: tuple[str, bool],
        text: str,
        ask: Callable[[Any], Any],
        source: Callable[[], SourceRange | None],
    ) -> None:
        """Note that the program asked a tensor of its state for something that is true, or false, of it.

        Args:
            tensor: who was asked.
            fact: what for, and the answer.
            text: both in words, with the name of the tensor.
            ask: asks again.
            source: the user's line, looked up for the first tensor only.
        """
        asked = self._facts.get(fact)
        if asked is None:
            asked = self._facts[fact] = _Asked(ask, fact[1], source(), {})
        asked.tensors.setdefault(id(tensor), (weakref.ref(tensor), text))

    def holds(self, text: str) -> bool:
        """Whether a circumstance is already one that counts."""
        return text in self._others

    def include(self, others: Sequence[Circumstance]) -> None:
        """Take over what a traced program depends on that this one calls, unless this one sees to it."""
        for other in others:
            source = partial(_same, other.source)
            if isinstance(other, OfModules):
                for reference, name in other.modules:
                    module = reference()
                    if module is not None:
                        self.read_training(module, name, other.value, source)
            elif isinstance(other, OfTensors):
                for held, text in other.tensors:
                    tensor = held()
                    if tensor is not None and (id(tensor), other.fact) not in self.own_facts:
                        self.read_fact(tensor, other.fact, text, other.ask, source)
            else:
                self._others.setdefault(other.text, other)

    def add(self, others: Circumstances) -> None:
        """Count what was asked of tensors and for modes, and noted apart, as asked here."""
        for text, other in others._others.items():
            self._others.setdefault(text, other)
        for fact, asked in others._facts.items():
            known = self._facts.setdefault(fact, asked)
            for key, noted in asked.tensors.items():
                known.tensors.setdefault(key, noted)

    def all(self) -> tuple[Circumstance, ...]:
        """Return what must be as it was."""
        return (
            *self._of_modules(),
            *itertools.starmap(_of_tensors, self._facts.items()),
            *self._others.values(),
        )

    def _of_modules(self) -> Iterator[Circumstance]:
        for value, source in self._sources.items():
            modules = [
                (reference, name)
                for reference, name, found in self._training.values()
                if found is value
            ]
            noted = [(reference, f"{name} is {value}") for reference, name in modules]
            text = _for_all([text for _, text in noted], "module")
            yield OfModules(text, source, _failing_module(noted, value), tuple(modules), value)


@dataclass(frozen=True, slots=True)
class ModesOfModules:
    """Which modules a program leaves training, and which not, of those that it has told to."""

    modules: tuple[tuple[weakref.ref[torch.nn.Module], bool], ...] = ()

    def __contains__(self, module: object) -> bool:
        return any(reference() is module for reference, _ in self.modules)

    def set(self) -> None:
        """Leave the modules so."""
        for reference, value in self.modules:
            module = reference()
            if module is not None:
                module.training = value  # also where it is so: a trace around must know


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked of tensors, with one answer."""

    ask: Callable[[Any], Any]
    answer: bool
    source: SourceRange | None
    tensors: dict[int, tuple[weakref.ref[torch.Tensor], str]]


@dataclass(frozen=True, slots=True)
class OfModules(Circumstance):
    """Which modules were asked whether they train, each with what it is called, and what all of them told."""

    modules: tuple[tuple[weakref.ref[torch.nn.Module], str], ...] = ()
    value: bool = False


@dataclass(frozen=True, slots=True)
class OfTensors(Circumstance):
    """Which tensors were asked for a fact, each with what is so of it, and the question."""

    tensors: tuple[tuple[weakref.ref[torch.Tensor], str], ...] = ()
    fact: tuple[str, bool] = ("", False)
    ask: Callable[[Any], Any] = bool

    def of(self, real: Callable[[Any], Any]) -> Circumstance:
        """Return the same of the tensors that these stand for."""
        alive = [(reference(), text) for reference, text in self.tensors]
        tensors = {
            id(tensor): (weakref.ref(real(tensor)), text)
            for tensor, text in alive
            if tensor is not None
        }
        return _of_tensors(self.fact, _Asked(self.ask, self.fact[1], self.source, tensors))


def _same(source: SourceRange | None) -> SourceRange | None:
    return source


def of_tensors(
    fact: tuple[str, bool],
    ask: Callable[[Any], Any],
    noted: Sequence[tuple[torch.Tensor, str]],
    source: SourceRange | None,
) -> Circumstance:
    """Return the circumstance that a question gets one answer for some tensors, each with that in words."""
    tensors = {id(tensor): (weakref.ref(tensor), text) for tensor, text in noted}
    return _of_tensors(fact, _Asked(ask, fact[1], source, tensors))


def _of_tensors(fact: tuple[str, bool], asked: _Asked) -> Circumstance:
    noted = list(asked.tensors.values())

    def failing() -> str | None:
        for reference, text in noted:
            tensor = reference()
            if tensor is not None and asked.ask(tensor) is not asked.answer:
                return text
        return None

    text = _for_all([text for _, text in noted], "tensor")
    return OfTensors(text, asked.source, failing, tuple(noted), fact, asked.ask)


def _for_all(texts: list[str], noun: str) -> str:
    """Return what holds for one thing, and how many more of its kind it holds for."""
    more = len(texts) - 1
    return f"{texts[0]}, as for {more} more {noun}{'s' if more > 1 else ''}" if more else texts[0]


def _failing_module(
    noted: list[tuple[weakref.ref[torch.nn.Module], str]], value: bool
) -> Callable[[], str | None]:
    def failing() -> str | None:
        for reference, text in noted:
            module = reference()
            if module is not None and module.training is not value:
                return text
        return None

    return failing
