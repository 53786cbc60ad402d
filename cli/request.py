"""What commands that run a program are asked for; reading it needs no torch and runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..visualize import ViewOptions
from .errors import CommandError
from .inputs import InputSpec, parse_argument, parse_input, parse_pairs
from .outputs import Output
from .usage import MOST_SEED, read_whole


@dataclass(frozen=True, slots=True)
class TargetName:
    """Where a program is found: a module or a script, and a dotted name in it.

    Attributes:
        module: dotted name of a module, or path of a script.
        name: the way from the module to the callable.
    """

    module: str
    name: str

    @classmethod
    def parse(cls, text: str) -> TargetName:
        """Read ``MODULE:CALLABLE``.

        Raises:
            CommandError: the text is no such thing.
        """
        module, _, name = text.rpartition(":")
        if not module or not is_dotted(name):
            raise CommandError(
                f"{text!r} does not say what to trace; write MODULE:CALLABLE, such as\n"
                "  torch.nn:ReLU  package.models:Net  path/to/net.py:make_net"
            )
        target = cls(module, name)
        if not target.is_script and not is_dotted(module):
            raise CommandError(
                f"{module!r} is neither the name of a module nor the path of a .py file"
            )
        return target

    @property
    def is_script(self) -> bool:
        """Whether the module is given as a path."""
        return self.module.endswith(".py")

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"


@dataclass(frozen=True, slots=True)
class TraceRequest:
    """Everything that ``opscope trace`` is asked for, of which other commands are asked for a part.

    Attributes:
        target: where the program is found.
        inputs: positional inputs.
        kwargs: keyword inputs.
        arguments: what a class or a factory is called with.
        outputs: files to write; without any, the graph's text is printed.
        view: how pictures look.
        seed: of all random numbers.
        grad: whether gradients are on; None leaves it to the program's kind.
        train: whether a module is in training mode; None is evaluation mode.
        factory: whether a function makes the program or is it; None leaves it to its parameters.
        allow: kinds of diagnostics that are no errors.
        fixed: whether all sizes are those of the trace.
        fake: whether nothing is computed.
        deep: whether what composite operators call stands in place of them; None leaves it to the program.
        functional: whether writes to memory become values.
        check: whether the replay is compared with the program.
        state: whether a file of the program holds its parameters.
    """

    target: TargetName
    inputs: tuple[InputSpec, ...]
    kwargs: dict[str, InputSpec]
    arguments: dict[str, Any]
    seed: int
    grad: bool | None = None
    train: bool | None = None
    factory: bool | None = None
    outputs: tuple[Output, ...] = ()
    view: ViewOptions = field(default_factory=ViewOptions)
    allow: tuple[str, ...] = ()
    fixed: bool = False
    fake: bool = False
    deep: bool | None = None
    functional: bool = False
    check: bool = False
    state: bool = True

    @classmethod
    def read(
        cls,
        target: str,
        inputs: Sequence[str] | None,
        kwargs: Sequence[str] | None,
        arguments: Sequence[str] | None,
        seed: str,
        **others: Any,
    ) -> TraceRequest:
        """Read what names a program and its inputs on the command line.

        Args:
            target: ``MODULE:CALLABLE``.
            inputs: a ``SPEC`` each.
            kwargs: ``NAME=SPEC`` each.
            arguments: ``NAME=VALUE`` each.
            seed: a whole number.
            others: all else, by the names of the attributes.

        Raises:
            CommandError: one of them is no such text.
        """
        return cls(
            TargetName.parse(target),
            tuple(map(parse_input, inputs or ())),
            parse_pairs("--kwarg", kwargs or (), parse_input),
            parse_pairs("--arg", arguments or (), parse_argument),
            read_whole("--seed", seed, MOST_SEED),
            **others,
        )


def is_dotted(name: str) -> bool:
    """Whether text is names with dots between them."""
    return all(part.isidentifier() for part in name.split("."))
