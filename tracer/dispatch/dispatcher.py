"""The one door to torch's dispatcher: every use of private torch API for capture stands here.

Note [Where we sit]
    Torch's dispatcher routes each operator call through a fixed list of keys: modes first, then
    autocast, autograd, and the backend last. Three keys near the top belong to nobody in a release
    build. We put a Python kernel on one of them and switch it on per thread, through the
    dispatcher's own thread-local state. There an operator is seen once and whole (``aten::linear``,
    not its parts), above autograd, with the very tensors that the program holds; and autograd's
    worker threads, which inherit that state, are seen too.

    The kernel runs the operator with the key excluded, so what happens inside stays inside, unless a deep
    trace lets it out. Kernels
    do nothing while no trace runs: the key is then in nobody's state.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType, ModuleType
from typing import Any, cast

import torch
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import fake_tensor_tls
from torch.nested._internal import nested_tensor
from torch.optim.optimizer import _foreach_supported_types as of_optimizers
from torch.utils._foreach_utils import _foreach_supported_types as of_gradients
from torch.utils._python_dispatch import _disable_current_modes

from ...errors import UnsupportedTorchError
from ...ir.collector import paused_collector
from .detours import end_detour
from .number import with_plain_numbers

_C = torch._C

CANDIDATE_KEYS = ("TESTING_ONLY_GenericMode", "TESTING_ONLY_GenericWrapper", "DeferredInit")
"""Dispatch keys that nothing in a release of torch uses, the best position first."""

_ANNOTATIONS = "profiler"
"""The namespace of operators that compute nothing: they mark where regions begin and end."""

_PASSED_BY: Any = cast(Any, torch.library).fallthrough_kernel

_SLOT = "opscope.recorder"
_INSTALLED = "_opscope_kernels"  # in sys.modules: kernels outlive any one copy of this package

NUMBERS = frozenset((int, float, bool, complex))
"""What Python may pass where a schema says Tensor."""

_INSTALLING = threading.Lock()

plain_data: Any = cast(Any, _C.TensorBase).data
"""The getter and setter of ``tensor.data`` itself, whatever stands before it while a trace runs."""

without_torch_dispatch: Callable[[], Any] = _C._DisableTorchDispatch
"""Gives a context in which no mode and no subclass takes part in a call."""

# The facts of a tensor as they are, where a trace would give numbers of its graph for them.
plain_shape: Callable[[torch.Tensor], torch.Size] = cast(Any, _C.TensorBase).shape.__get__
plain_nbytes: Callable[[torch.Tensor], int] = cast(Any, _C.TensorBase).nbytes.__get__
plain_strides: Callable[[torch.Tensor], tuple[int, ...]] = cast(Any, _C.TensorBase).stride
plain_numel: Callable[[torch.Tensor], int] = cast(Any, _C.TensorBase).numel
plain_layout: Callable[[torch.Tensor], torch.layout] = cast(Any, _C.TensorBase).layout.__get__
plain_offset: Callable[[torch.Tensor], int] = cast(Any, _C.TensorBase).storage_offset
plain_requires_grad: Callable[[torch.Tensor], bool] = cast(Any, _C.TensorBase).requires_grad.__get__
_is_leaf: Callable[[torch.Tensor], bool] = cast(Any, _C.TensorBase).is_leaf.__get__
plain_version: Callable[[torch.Tensor], int] = cast(Any, _C.TensorBase)._version.__get__
plain_history: Callable[[torch.Tensor], Any] = cast(Any, _C.TensorBase).grad_fn.__get__
plain_is_view: Callable[[torch.Tensor], bool] = cast(Any, _C.TensorBase)._is_view

plain_untyped_storage: Any = cast(Any, _C.TensorBase).untyped_storage
"""``tensor.untyped_storage()`` itself."""

FOREACH_CLASSES: tuple[list[Any], ...] = (of_optimizers, of_gradients)
"""The lists of classes for whose tensors optimizers, and the clipping of gradients, go by ``foreach``."""

StorageWeakRef: Any = torch.multiprocessing.reductions.StorageWeakRef
"""Tells whether a storage is still there, and keeps its number (``_cdata``) from being used again."""


def plain_is_leaf(tensor: torch.Tensor) -> bool:
    """Return ``tensor.is_leaf`` itself; False for a view that autograd gave up when its base was written."""
    try:
        return _is_leaf(tensor)
    except RuntimeError:
        return False


class Passing:
    """Base of recorders that watch operators go by while, for everybody else, nothing traces."""

    def pass_transform(self, name: str, arguments: Any, call: Callable[[], Any]) -> Any:
        """Call a transform of ``torch.func``, with our key excluded, and take note of what it made."""
        raise NotImplementedError

    def note_read(self, how: str, result: Any, frame: FrameType) -> None:
        """Take note that ``how`` gave Python the data of a tensor in a frame, or in one behind it."""

    def note_size(self, tensor: torch.Tensor, frame: FrameType) -> None:
        """Take note that sizes of a tensor are read in a frame, or in one behind it."""


class Kernels:
    """Our kernels on one dispatch key of this process: installed once, kept until it ends.

    Torch takes one fallback per key and process, so there is one object of this class, found in
    ``sys.modules`` even by a second copy of this package.

    Attributes:
        numbers: makes tensors of Python numbers.
    """

    numbers: WrappedNumbers

    def __init__(self, key_name: str) -> None:
        self.key_name = key_name
        self.key = _C._dispatch_key_parse(key_name)
        self.keyset = _C.DispatchKeySet(self.key)
        self.below = _C._dispatch_keyset_full_after(self.key)
        # Gives a context in which operators of this thread pass our key by.
        self.excluded: Callable[[], Any] = functools.partial(
            _C._ExcludeDispatchKeyGuard, self.keyset
        )
        # The same until further notice, which is quicker.
        self.set_excluded: Callable[[bool], None] = functools.partial(
            _C._dispatch_tls_set_dispatch_key_excluded, self.key
        )
        self.shared: dict[str, Any] = {}  # what else there must be one of in a process
        self._libraries: dict[str, Any] = {}
        self._operators: set[str] = set()
        self._higher_order: set[str] = set()
        self._covered: tuple[int, int, int] | None = None  # what there was at the last ``cover``
        self._lock = threading.Lock()
        fallback: Any = cast(Any, torch.library).Library("_", "IMPL")
        fallback.fallback(self._fallback, key_name, with_keyset=True)
        self._libraries["_"] = fallback

    def _fallback(self, keyset: Any, op: Any, *args: Any, **kwargs: Any) -> Any:
        """Serve operators that were registered after the last :meth:`cover`."""
        recorder = current_recorder()
        if recorder is None:
            return self.pass_by(op, keyset, args, kwargs)
        return recorder.record(op, keyset, args, kwargs)

    def cover(self) -> None:
        """Give every registered operator a kernel of its own.

        The fallback alone is not enough: under a ``TorchDispatchMode`` or with tensor subclasses,
        torch asks for the Python kernel that was registered for the very operator.
        """
        # Listing all operators takes milliseconds. New ones come with an import or a definition.
        sources = (len(sys.modules), len(torch.ops.loaded_libraries), len(torch.library._defs))
        with self._lock, paused_collector():
            if sources != self._covered:
                for name in _C._dispatch_get_all_op_names():
                    if name not in self._operators:
                        self._operators.add(name)
                        self._install(name)
                self._covered = (len(sys.modules), *sources[1:])
            for name, op in list(torch._ops._higher_order_ops.items()):
                if name not in self._higher_order:
                    self._higher_order.add(name)
                    op.py_impl(self.key)(self._higher_order_kernel(op))

    def _install(self, qualified: str) -> None:
        namespace, _, rest = qualified.partition("::")
        library = self._libraries.get(namespace)
        if library is None:
            library = self._libraries[namespace] = cast(Any, torch.library).Library(
                namespace, "IMPL"
            )
        kernel = _PASSED_BY if namespace == _ANNOTATIONS else self._kernel(qualified)
        library.m.impl(rest, self.key_name, kernel, True)

    def _kernel(self, qualified: str) -> Callable[..., Any]:
        stashed = _C._get_obj_in_tls
        pass_by = self.pass_by
        op: Any = None  # found at the first call: a program calls few of all operators

        def kernel(keyset: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal op
            if op is None:
                op = _operator_called(qualified)
            try:
                recorder = stashed(_SLOT)
            except RuntimeError:  # this thread inherited the key but never had a recorder
                recorder = None
            if recorder is None:
                return pass_by(op, keyset, args, kwargs)
            return recorder.record(op, keyset, args, kwargs)

        return kernel

    def pass_by(self, op: Any, keyset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operator that nothing records, on plain numbers for what may be left of a trace's."""
        plain = [with_plain_numbers(arg) for arg in args]
        for slot in tensor_slots(op):
            if slot < len(plain) and type(plain[slot]) in NUMBERS:
                plain[slot] = self.numbers.wrap(plain[slot])
        named = {name: with_plain_numbers(arg) for name, arg in kwargs.items()}
        with self.excluded():
            return op.redispatch(keyset & self.below, *plain, **named)

    def _higher_order_kernel(self, op: Any) -> Callable[..., Any]:
        def kernel(*args: Any, **kwargs: Any) -> Any:
            recorder = current_recorder()
            if recorder is None:
                with self.excluded():
                    return op(*args, **kwargs)
            return recorder.record_higher_order(op, args, kwargs)

        return kernel

    def included(self) -> Any:
        """Return a context in which operators of this thread, and of threads it starts, stop at our key."""
        return _C._IncludeDispatchKeyGuard(self.key)

    def set_included(self, included: bool) -> None:
        """Switch our key on or off for this thread until further notice."""
        _C._dispatch_tls_set_dispatch_key_included(self.key, included)


def _operator_called(qualified: str) -> Any:
    namespace, _, rest = qualified.partition("::")
    name, _, overload = rest.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), name), overload or "default")


@functools.cache
def tensor_slots(op: torch._ops.OpOverload) -> tuple[int, ...]:
    """Return the positions at which an operator's schema says Tensor, where Python may pass a number."""
    parameters = cast(Any, op._schema).arguments
    return tuple(n for n, parameter in enumerate(parameters) if str(parameter.type) == "Tensor")


def kernels() -> Kernels:
    """Return this process's kernels; install and probe them at the first call.

    Raises:
        UnsupportedTorchError: no candidate key works with the installed torch.
    """
    with _INSTALLING:
        holder = sys.modules.get(_INSTALLED)
        if holder is None:
            holder = ModuleType(_INSTALLED)
            with plain_torch():
                installed = _install_on_first_working_key()
                # Made now: inside a transform or a trace they would be of its making.
                installed.numbers = WrappedNumbers(installed)
            holder.kernels = installed  # type: ignore[attr-defined]
            sys.modules[_INSTALLED] = holder
        return cast(Kernels, holder.kernels)


without_hooks: Callable[[], Any] = _C.DisableTorchFunction
"""Gives a context in which no class and no mode has its ``__torch_function__`` called."""


@contextmanager
def quiet() -> Iterator[None]:
    """Read tensors of any class unseen by its ``__torch_function__``, by modes, and by ourselves."""
    with without_hooks(), kernels().excluded():
        yield


@contextmanager
def plain_torch() -> Iterator[None]:
    """Torch without anybody's modes and hooks, for tensors that only we make and see."""
    with without_hooks(), _disable_current_modes():
        yield


def _install_on_first_working_key() -> Kernels:
    failures = []
    for key_name in CANDIDATE_KEYS:
        try:
            installed = Kernels(key_name)
            _probe(installed)
        except (AttributeError, RuntimeError, ValueError, TypeError, AssertionError) as error:
            failures.append(f"  {key_name}: {type(error).__name__}: {error}")
        else:
            return installed
    raise UnsupportedTorchError(
        f"torch {torch.__version__} offers no dispatcher key that operators can be captured on.\n"
        + "\n".join(failures)
        + "\nUse a torch version that opscope was tested with (2.13 to 2.15), or report this one."
    )


class _Probe:
    """A recorder that only notes what comes by."""

    def __init__(self, installed: Kernels) -> None:
        self.seen: list[str] = []
        self._installed = installed

    def record(self, op: Any, keyset: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.seen.append(op.name())
        with self._installed.excluded():
            return op.redispatch(keyset & self._installed.below, *args, **kwargs)


def _probe(installed: Kernels) -> None:
    """Check on real tensors that composite operators arrive whole, once, and give right results."""
    probe = _Probe(installed)
    data = torch.ones(2, 2)
    expected = torch.nn.functional.linear(data, data)
    with recording(installed, probe):
        result = torch.nn.functional.linear(data, data)
    assert probe.seen == ["aten::linear"], f"linear arrived as {probe.seen}"
    assert torch.equal(result, expected), "linear gave another result under capture"


def current_recorder() -> Any:
    """Return what records this thread, or the thread that started its work; None if nothing does.

    The slot is part of the state that torch hands on to autograd's worker threads and forks.
    """
    return _C._get_obj_in_tls(_SLOT) if _C._is_key_in_tls(_SLOT) else None


def watcher_here(installed: Kernels) -> Any:
    """Return what records the code that runs now, or watches it; None inside a recorded operator."""
    if _C._dispatch_tls_is_dispatch_key_excluded(installed.key):
        return None
    return current_recorder()


def recorder_here(installed: Kernels) -> Any:
    """Return what records the code that runs now; None in a pause and inside a recorded operator."""
    watcher = watcher_here(installed)
    return None if isinstance(watcher, Passing) else watcher


def pass_transform(installed: Kernels, name: str, arguments: Any, call: Callable[[], Any]) -> Any:
    """Call a transform of ``torch.func`` where nothing records.

    Our key is excluded: torch cannot hand a Python kernel the numbers that autograd saves inside.
    """
    is_excluded = _C._dispatch_tls_is_dispatch_key_excluded(installed.key)
    watching = None if is_excluded else current_recorder()
    with installed.excluded():
        if isinstance(watching, Passing):
            return watching.pass_transform(name, arguments, call)
        return call()


def listeners(installed: Kernels) -> list[Any]:
    """Return what is to be told of what no operator tells of: innermost trace first, none if none records."""
    found = []
    recorder = recorder_here(installed)
    while recorder is not None:
        found.append(recorder.unseen)
        recorder = recorder.outer
    return found


def set_recorder(recorder: Any) -> None:
    """Make ``recorder`` (or nobody) receive this thread's operators."""
    if recorder is None:
        if _C._is_key_in_tls(_SLOT):
            _C._remove_obj_from_tls(_SLOT)
    else:
        _C._stash_obj_in_tls(_SLOT, recorder)


@contextmanager
def recording(installed: Kernels, recorder: Any) -> Iterator[None]:
    """Send this thread's operators to ``recorder`` until the ``with`` ends, then restore what was.

    A recorder has ``record(op, keyset, args, kwargs)`` and, for operators that take functions,
    ``record_higher_order(op, args, kwargs)``. Each runs the operator and returns what it returned.
    That of a trace (``record.Recorder``) is told of more by what stands in torch's classes.

    Inside an operator that another trace records, and after an interrupt at the worst moment, our
    key may be excluded; it is not while the ``with`` lasts. An interrupt may also have come on a detour.
    """
    previous = current_recorder()
    was_included = _C._dispatch_tls_is_dispatch_key_included(installed.key)
    was_excluded = _C._dispatch_tls_is_dispatch_key_excluded(installed.key)
    try:
        installed.set_excluded(False)
        set_recorder(recorder)
        installed.set_included(recorder is not None)
        yield
    finally:
        end_detour()
        set_recorder(previous)
        installed.set_included(was_included)
        installed.set_excluded(was_excluded and previous is not None)


_MOST_KNOWN = 1 << 10  # numbers whose tensors are kept
_plain_tensor = torch.tensor  # as it is without a trace


class WrappedNumbers:
    """Makes tensors that take part in type promotion as the Python number they stand for.

    An operator called from Python takes a number where its schema says Tensor; one redispatched
    from a kernel does not. The flag of such tensors can only be inherited: multiplying by a number
    makes autograd save one, and ``.data`` of that keeps the flag with a version counter of its own.
    Autograd may save it, so where that is on, a tensor is made for each use.
    """

    def __init__(self, installed: Kernels) -> None:
        # Inside a transform of ``torch.func``, what is made there would be wrapped.
        self._passed_by = installed.keyset
        for name in ("FuncTorchDynamicLayerFrontMode", "FuncTorchDynamicLayerBackMode"):
            self._passed_by |= _C.DispatchKeySet(_C._dispatch_key_parse(name))
        self._prototypes: dict[type, torch.Tensor] = {}
        self._known: dict[tuple[type, str, bool], torch.Tensor] = {}  # made where autograd is off
        passed_by = _C._ExcludeDispatchKeyGuard(self._passed_by)
        with (
            passed_by,  # first: the trace is not told which modes are set aside here
            plain_torch(),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            for number, dtype in (
                (1.5, torch.float64),
                (2, torch.float64),
                (True, torch.float64),
                (3j, torch.complex128),
            ):
                product = torch.ones((), dtype=dtype, requires_grad=True) * number
                saved = cast(Any, product.grad_fn)._saved_other
                self._prototypes[type(number)] = saved

    def wrap(self, number: complex) -> torch.Tensor:
        """Return a zero-dimensional tensor that promotes as ``number`` does."""
        if is_grad_enabled():
            _C._set_grad_enabled(False)  # quicker than ``no_grad``, which a trace listens to
            try:
                return self._made(number)
            finally:
                _C._set_grad_enabled(True)
        key = (type(number), repr(number), is_inference_mode_enabled())  # 0.0 is not -0.0
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[key] = self._made(number)
        return known

    def _made(self, number: complex) -> torch.Tensor:
        passed_by = _C._ExcludeDispatchKeyGuard(self._passed_by)
        with _C._DisableTorchDispatch(), passed_by:
            wrapped: torch.Tensor = plain_data.__get__(self._prototypes[type(number)])
            value = _plain_tensor(number, dtype=wrapped.dtype)
            return wrapped.set_(value.untyped_storage(), 0, (), ())


def autocast_regions() -> tuple[tuple[str, torch.dtype], ...]:
    """Return device type and dtype of every autocast region in force on this thread."""
    if not _C._is_any_autocast_enabled():
        return ()
    return tuple(
        (device, _get_autocast_dtype(device))
        for device in ("cpu", "cuda", "xpu", "mps", "hpu", "xla", "mtia", "maia", "ipu")
        if _is_autocast_enabled(device)
    )


# Without what stands before them while a trace runs.
is_grad_enabled: Callable[[], bool] = torch.is_grad_enabled
is_inference_mode_enabled: Callable[[], bool] = torch.is_inference_mode_enabled
_is_autocast_enabled: Callable[[str], bool] = torch.is_autocast_enabled
_get_autocast_dtype: Callable[[str], torch.dtype] = torch.get_autocast_dtype

is_any_autocast_enabled: Callable[[], bool] = _C._is_any_autocast_enabled


def storage_key(tensor: torch.Tensor) -> int:
    """Return a number that two live tensors share exactly if they share their storage."""
    key: int = plain_untyped_storage(tensor)._cdata
    return key


def generator_key(generator: torch.Generator) -> int:
    """Return a number that two handles of one generator share; Python may see it as several objects."""
    return int(cast(Any, generator)._cdata)


def shares_storage(tensor: torch.Tensor) -> bool:
    """Whether anything but this tensor and its Python handle holds its storage."""
    return bool(_C._storage_Use_Count(tensor.untyped_storage()._cdata) > 2)


def nested_dummy() -> torch.Tensor | None:
    """Return the tensor that torch hands to operators which must know the class of nested tensors.

    None if no nested tensor was made yet: making it loads much of torch, which takes half a second.
    """
    return nested_tensor._dummy_instance


def distributed_module() -> ModuleType | None:
    """Return torch's bindings for process groups; None where nothing has loaded them."""
    return sys.modules.get("torch._C._distributed_c10d")


def make_fake_mode(**options: bool) -> FakeTensorMode:
    """Return a new mode that makes tensors fake, and gives a program no numbers that nobody knows."""
    # This takes a second, which the mode would take as well, if later.
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    # Torch itself runs loops with such numbers.
    numbers = ShapeEnv(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False)
    return FakeTensorMode(shape_env=numbers, **options)


def active_fake_mode() -> FakeTensorMode | None:
    """Return the mode that makes this thread's tensors fake; None while they are real."""
    return cast("FakeTensorMode | None", _C._get_dispatch_mode(_C._TorchDispatchModeKey.FAKE))


@contextmanager
def non_fake_inputs() -> Iterator[None]:
    """Let operators of a fake mode read real tensors, which become fake as they do."""
    before = fake_tensor_tls.allow_non_fake_inputs_override
    fake_tensor_tls.allow_non_fake_inputs_override = True
    try:
        yield
    finally:
        fake_tensor_tls.allow_non_fake_inputs_override = before


def has_saved_tensor_hooks() -> bool:
    """Whether what autograd saves on this thread goes through hooks."""
    return _C._autograd._top_saved_tensors_default_hooks(False) is not None


def set_version(tensor: torch.Tensor, version: int) -> None:
    """Set the counter of writes that autograd checks saved tensors by."""
    _C._autograd._unsafe_set_version_counter((tensor,), (version,))


is_inside_transform: Callable[[torch.Tensor], bool] = _C._functorch.is_functorch_wrapped_tensor
"""Whether a tensor is what a transform of ``torch.func`` makes of another for its function."""


def quick_type_check(
    tensors: Sequence[torch.Tensor], *, counts_strides: bool = False
) -> Callable[..., bool] | None:
    """Return what tells of tensors, no two of them one, whether all have the types that these have now.

    It may say no where only their flags, or modes around them, have changed. None where torch does not
    offer it.

    Args:
        tensors: those with the types.
        counts_strides: whether strides are part of a type.
    """
    try:
        guards: Any = _C._dynamo.guards.TensorGuards
        with without_hooks():
            sizes = [list(plain_shape(tensor)) for tensor in tensors]
            strides: list[list[int | None]] = (
                [list(plain_strides(tensor)) for tensor in tensors]
                if counts_strides
                else [[None] * len(shape) for shape in sizes]
            )
            made = guards(*tensors, dynamic_dims_sizes=sizes, dynamic_dims_strides=strides)
        return cast(Callable[..., bool], made.check)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return None


def version_of_dict() -> Callable[[Any], int] | None:
    """Return what gives a number to a dictionary that is another one after each change; None without it."""
    version: Callable[[Any], int] | None = getattr(_C._dynamo.guards, "dict_version", None)
    return version


def is_transforming() -> bool:
    """Whether a function that ``torch.func`` transforms runs on this thread."""
    return _C._functorch.peek_interpreter_stack() is not None


def dispatch_keys(names: Iterable[str]) -> dict[str, Any]:
    """Return the dispatch keys of these names that this torch has."""
    found = {}
    for name in names:
        with suppress(ValueError, RuntimeError):
            found[name] = _C._dispatch_key_parse(name)
    return found


is_dispatched: Callable[[str], bool] = _C._dispatch_has_kernel
"""Whether the dispatcher has kernels of an operator: those of TorchScript's own are none of its business."""

has_kernel: Callable[[str, str], bool] = _C._dispatch_has_kernel_for_dispatch_key
"""Whether an operator has a kernel that was registered for the key of a name itself."""


def has_python_kernel(name: str) -> bool:
    """Whether somebody has registered a kernel in Python for an operator, by its name, and for data."""
    start = f"{name.replace('::', '/')}/"
    registered: set[str] = cast(Any, torch.library)._impls  # aten/gelu/CPU
    return any(key.startswith(start) and not key.endswith("/Meta") for key in registered)


@contextmanager
def plain_script_execution() -> Iterator[None]:
    """Make scripted functions of this thread run operator by operator, not in fused or autograd groups."""
    optimizes = _C._get_graph_executor_optimize()
    _C._set_graph_executor_optimize(False)
    try:
        yield
    finally:
        _C._set_graph_executor_optimize(optimizes)
