"""Arguments of a call, kept as they were, and fresh copies of them for as many runs as are needed.

Note [Copies keep aliasing]
    What a program computes may depend on which of its tensors share memory: a write to one is seen
    through the others. So storages are copied, each once, and every tensor is made again on the copy
    of its own storage, with its own geometry. One tensor passed twice is one tensor again; a view
    that autograd knows as one is a view of the copy of its base. Tensors that belong to the program
    itself, and whatever shares their memory, are passed as they are: the program reads those very
    objects, and their contents are restored with its state.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any, cast

import torch

from ..ir.structure import Structure, StructureKind, holds_nothing, take_apart
from ..tracer import is_opaque, is_tensor
from .storage import Content, storage_of


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments for one run.

    Attributes:
        args: positional arguments.
        kwargs: keyword arguments.
        leaves: the distinct tensors among them.
        sources: pairs of a leaf and the leaf of autograd's graph that it comes from, which is
            another tensor where the argument was not a leaf of that graph itself.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaves: tuple[torch.Tensor, ...]
    sources: tuple[tuple[torch.Tensor, torch.Tensor], ...]


class KeptArguments:
    """The arguments of a call as they are now.

    Args:
        args: positional arguments.
        kwargs: keyword arguments.
        own: the tensors of the program, which are passed as they are.
    """

    def __init__(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any], own: Iterable[torch.Tensor] = ()
    ) -> None:
        leaves, self._structure = take_apart((args, dict(kwargs)), is_tensor, is_opaque)
        self._storages: dict[int, Content] = {}
        self._own = {id(tensor): tensor for tensor in own}
        self._own_storages = {key for tensor in own if (key := storage_of(tensor)) is not None}
        self._known: dict[int, _Original] = {}
        self._leaves = [self._keep(leaf) for leaf in leaves]

    def _keep(self, tensor: torch.Tensor) -> _Original:
        known = self._known.get(id(tensor))
        if known is not None:
            return known
        key = storage_of(tensor)
        if id(tensor) in self._own or key in self._own_storages:
            original = _Original(tensor, as_it_is=True)
        else:
            content = self._storages.get(key) if key is not None else None
            if content is None:
                content = Content(tensor)
                if key is not None:
                    self._storages[key] = content
            base = tensor._base if tensor._is_view() else None
            follows = base is not None and tensor.requires_grad and base.dtype == tensor.dtype
            original = _Original(
                tensor,
                content=content,
                base=self._keep(base) if follows and base is not None and key is not None else None,
            )
        self._known[id(tensor)] = original
        return original

    def fresh(self, *, for_python: bool = True) -> Call:
        """Return a copy of the arguments that nothing else refers to.

        Args:
            for_python: whether what sees them may change the objects among them too, as the program's own
                Python may, and a replay of one that does.
        """
        made = _Copies({id(content): content.copied() for content in self._storages.values()})
        leaves = [original.made_again(made) for original in self._leaves]
        structure = _with_own_constants(self._structure, {}) if for_python else self._structure
        args, kwargs = structure.build(leaves)
        sources: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        for leaf, original in zip(leaves, self._leaves, strict=True):
            source = original.source(made)
            if source is not None:
                sources.setdefault(id(source), (leaf, source))
        distinct = tuple({id(leaf): leaf for leaf in leaves}.values())
        return Call(args, kwargs, distinct, tuple(sources.values()))

    @property
    def modules(self) -> list[torch.nn.Module]:
        """The modules among the arguments."""
        constants = (part.constant for part in self._structure.walk())
        return [constant for constant in constants if isinstance(constant, torch.nn.Module)]

    @property
    def generators(self) -> list[torch.Generator]:
        """The random number generators among the arguments."""
        constants = (part.constant for part in self._structure.walk())
        return [constant for constant in constants if isinstance(constant, torch.Generator)]


@dataclass(slots=True)
class _Copies:
    """What one set of copies has been made of so far."""

    storages: dict[int, Content]
    tensors: dict[int, torch.Tensor] = field(default_factory=dict)
    sources: dict[int, torch.Tensor] = field(default_factory=dict)


class _Original:
    """What is to be known of a tensor to make it again, whatever becomes of it."""

    def __init__(
        self,
        tensor: torch.Tensor,
        content: Content | None = None,
        base: _Original | None = None,
        *,
        as_it_is: bool = False,
    ) -> None:
        self._tensor = tensor if as_it_is else None
        self._content = content
        self._base = base
        self._make: Callable[[Content], torch.Tensor] | None = None
        if content is not None:
            self._make = content.maker_of(tensor)
        self._geometry = None
        if base is not None:
            self._geometry = (tuple(tensor.shape), tensor.stride(), tensor.storage_offset())
        self._requires_grad = tensor.requires_grad
        self._is_leaf = tensor.is_leaf
        self._is_inference = tensor.is_inference()
        self._attributes = dict(vars(tensor))
        self._grad = None
        if tensor.is_leaf and tensor.grad is not None:
            self._grad = tensor.grad.detach().clone()

    def made_again(self, made: _Copies) -> torch.Tensor:
        if self._tensor is not None:
            return self._tensor
        known = made.tensors.get(id(self))
        if known is None:
            with torch.inference_mode(self._is_inference), torch.enable_grad():
                known = made.tensors[id(self)] = self._new(made)
            known.__dict__.update(self._attributes)
            if self._grad is not None:
                known.grad = self._grad.clone()
        return known

    def _new(self, made: _Copies) -> torch.Tensor:
        if self._base is not None and self._geometry is not None:
            return self._base.made_again(made).as_strided(*self._geometry)
        assert self._content is not None, "only copies are made again"
        assert self._make is not None, "a tensor with content can be made of it"
        content = made.storages.get(id(self._content)) or self._content.copied()
        tensor = self._make(content)
        if not self._requires_grad:
            return tensor
        if self._is_leaf:
            made.sources[id(self)] = tensor.requires_grad_()
            return tensor
        source = made.sources[id(self)] = tensor.detach().clone().requires_grad_()
        make = self._make
        computed: torch.Tensor = cast(Any, _Computed).apply(source, lambda: make(content))
        return computed

    def source(self, made: _Copies) -> torch.Tensor | None:
        """Return the leaf of autograd's graph that stands behind the copy, if one does."""
        if self._tensor is not None:
            return None
        return made.sources.get(id(self)) if self._base is None else self._base.source(made)


class _Computed(torch.autograd.Function):
    """Gives a tensor that autograd takes for one computed from ``source``, as an argument often is."""

    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        return make()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return gradient, None


_SHARED = (type, FunctionType, MethodType, torch.nn.Module, torch.Generator, torch.device)


def _with_own_constants(structure: Structure, memo: dict[int, Any]) -> Structure:
    """Return the structure with copies of the objects in it, such as an empty cache to be filled."""
    if structure.kind is StructureKind.LEAF:
        return structure
    if structure.kind is StructureKind.CONSTANT:
        constant = structure.constant
        if isinstance(constant, _SHARED) or holds_nothing(constant):
            return structure
        try:
            constant = copy.deepcopy(constant, memo)
        except (TypeError, RuntimeError, NotImplementedError, copy.Error, AttributeError):
            return structure  # a lock, a file, a generator: such an object is the same in each run
        return Structure(StructureKind.CONSTANT, constant=constant)
    children = tuple(_with_own_constants(child, memo) for child in structure.children)
    return Structure(
        structure.kind,
        children,
        structure.keys,
        structure.class_,
        items=structure.items,
        mirrored=structure.mirrored,
    )
