"""Which modules run: each case in a module of its own, beside what torch's own tracer finds of it."""

import cProfile
import functools
import gc
import importlib
import profile
import pstats
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch.package.analyze

from opscope.errors import FootprintError, TracerWarning
from opscope.footprint import ModuleTracer, find_dependencies, trace_dependencies
from opscope.footprint.dependencies import monitors

HAS_MONITORS = sys.version_info >= (3, 12)

CASES = {
    "a_function": "def run(): return 1",
    "a_method": "class A:\n def f(self): return 1\nrun = A().f",
    "a_called_object": "class A:\n def __call__(self): return 1\nrun = A()",
    "a_partial": "import functools\ndef f(x): return x\nrun = functools.partial(f, 1)",
    "a_decorated": "import functools\ndef wrap(f):\n @functools.wraps(f)\n def inner(): return f()\n"
    " return inner\n@wrap\ndef run(): return 1",
    "a_lambda": "run = lambda: 1",
    "a_class_method": "class A:\n @classmethod\n def f(cls): return 1\nrun = A.f",
    "a_static_method": "class A:\n @staticmethod\n def f(): return 1\nrun = A.f",
    "an_odd_self": "class A:\n def f(this): return 1\nrun = A().f",
    "a_closure": "def make():\n x = 1\n def inner(): return x\n return inner\nrun = make()",
    "a_generator": "def f(): yield 1\nrun = lambda: [*f()]",
    "a_started_generator": "def f():\n while True: yield 1\ng = f(); next(g)\nrun = g.__next__",
    "a_comprehension": "def run(): return sum(x for x in [1])",
    "a_coroutine": "async def f(): return 1\ndef run():\n try: f().send(None)\n except StopIteration: pass",
    "a_property": "class A:\n @property\n def f(self): return 1\na = A()\nrun = lambda: a.f",
    "a_named_property": "import torch\nclass A:\n @property\n def f(self): return torch.ones(2)\na = A()\n"
    "run = lambda: a.f",
    "a_class": "class A: pass\nclass B:\n def __init__(self): self.x = 1\nrun = B",
    "no_module": "def run(): return 1\nrun.__module__ = None",
    "deleted_module": "def run(): return 1\ndel run.__module__",
    "wrong_module": "def run(): return 1\nrun.__module__ = 'elsewhere'",
    "hidden_name": "def run(): return 1\nimport sys\n__name__ = None",
    "a_thread": "import threading\ndef f(): return 1\n"
    "def run():\n t = threading.Thread(target=f)\n t.start(); t.join()",
    "a_shadowing_local": "inner = 3\ndef run():\n def inner(): return 1\n return inner()",
}


@pytest.fixture
def without_monitors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "use_monitor", lambda: None)


@pytest.fixture(params=["profile function", *(["monitor"] if HAS_MONITORS else [])], autouse=True)
def way_of_seeing(request: pytest.FixtureRequest) -> None:
    if request.param == "profile function":
        request.getfixturevalue("without_monitors")


@pytest.fixture
def make_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Writes modules, and returns the first one, imported; all are forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    known = set(sys.modules)

    def make(**sources: str) -> Any:
        for name, source in sources.items():
            (tmp_path / f"{name}.py").write_text(source)
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(sources)))

    yield make
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", None)):
            del sys.modules[name]


def of_torch(run: Callable[..., Any], inputs: list[Any]) -> set[str]:
    """What torch's tracer finds; nothing where it fails."""
    try:
        return set(torch.package.analyze.trace_dependencies(run, inputs))
    except (AttributeError, RuntimeError):
        return set()


@pytest.mark.parametrize("case", CASES)
def test_whatever_is_called_is_found(make_module: Callable[..., Any], case: str) -> None:
    run = make_module(**{case: CASES[case]}).run
    found = trace_dependencies(run, [()])
    assert case in found
    assert of_torch(run, [()]) - {"elsewhere"} <= set(found)


def test_modules_are_sorted_and_add_up_over_inputs(make_module: Callable[..., Any]) -> None:
    module = make_module(
        middle="import aside, zone\ndef run(which, *, more=0):\n return (aside.f if which else zone.f)()",
        aside="def f(): return 1",
        zone="def f(): return 2",
    )
    assert trace_dependencies(module.run, [(True,)]) == ["aside", "middle"]
    assert trace_dependencies(module.run, [(True,), [False]]) == ["aside", "middle", "zone"]
    assert trace_dependencies(module.run, [{"which": False, "more": 1}]) == ["middle", "zone"]  # type: ignore[list-item]
    assert trace_dependencies(module.run, []) == []


def test_a_missing_tuple_is_told() -> None:
    with pytest.raises(TypeError, match=r"one is of type Tensor\n.*pass \[\(x,\)\]"):
        trace_dependencies(torch.relu, torch.ones(2))  # type: ignore[arg-type]


def test_what_is_imported_inside_is_found_with_the_way_to_it(
    make_module: Callable[..., Any],
) -> None:
    module = make_module(
        lazy="def run():\n    import inside\n    return inside.f()",
        inside="import deeper\n\ndef f(): return 1",
        deeper="x = 1",
    )
    ways = {one.name: one.path for one in find_dependencies(module.run, [()]).modules}
    assert [(step.module, step.function, step.line) for step in ways["deeper"]] == [
        ("lazy", "run", 2),
        ("inside", "<module>", 1),
        ("deeper", "<module>", 1),
    ]
    assert importlib.import_module("inside").f() == 1  # the import is whole


def test_nothing_of_the_program_is_asked_for_anything(make_module: Callable[..., Any]) -> None:
    module = make_module(
        wary="""
asked = []

class Meta(type):
    def __getattribute__(cls, name):
        asked.append(name)
        return super().__getattribute__(name)

class Wary(metaclass=Meta):
    def __getattribute__(self, name):
        asked.append(name)
        raise AttributeError(name)

    def __bool__(self): asked.append("bool"); return True
    def __hash__(self): asked.append("hash"); return 1
    def __eq__(self, other): asked.append("eq"); return True

wary = Wary()
run = lambda x: inner(wary)

def inner(self): return wary
"""
    )
    with torch.no_grad():
        assert trace_dependencies(module.run, [(module.wary,)]) == ["wary"]
    assert module.asked == []


def test_generated_code_is_no_module() -> None:
    made: dict[str, Any] = {"__name__": "made_up"}
    exec("def run(): return 1", made)
    assert trace_dependencies(made["run"], [()]) == []
    assert trace_dependencies(lambda: exec("1"), [()]) == [__name__]


def counting() -> tuple[Callable[..., None], list[str]]:
    seen: list[str] = []

    def count(frame: Any, event: str, arg: object) -> None:
        seen.append(event)

    return count, seen


def test_the_profiler_of_the_caller_is_put_back_by_identity() -> None:
    count, seen = counting()
    sys.setprofile(count)
    try:
        trace_dependencies(list, [()])
        trace_dependencies(abs, [(1,)])
        with pytest.raises(ZeroDivisionError):
            trace_dependencies(lambda: 1 / 0, [()])
        assert sys.getprofile() is count
    finally:
        sys.setprofile(None)
    assert seen


def test_the_hook_for_threads_is_put_back_by_identity() -> None:
    count, _ = counting()
    threading.setprofile(count)
    try:
        trace_dependencies(abs, [(1,)])
        assert threading.getprofile() is count
    finally:
        threading.setprofile(None)


def test_cprofile_goes_on_after_it(make_module: Callable[..., Any]) -> None:
    module = make_module(twice="def before(): return 1\ndef after(): return 2\ndef run(): return 3")
    profiler = cProfile.Profile()
    profiler.enable()
    module.before()
    assert "twice" in trace_dependencies(module.run, [()])
    module.after()
    profiler.disable()
    names = {name for _, _, name in pstats.Stats(profiler).stats}  # type: ignore[attr-defined]
    assert {"before", "after"} <= names


def test_the_profiler_in_python_finds_calls_and_returns_matched(
    make_module: Callable[..., Any],
) -> None:
    module = make_module(matched="def f(): return 1\ndef run(): return f()")

    def program() -> int:
        assert "matched" in trace_dependencies(module.run, [()])
        return int(module.f())

    assert profile.Profile().runcall(program) == 1


def test_a_debugger_stays(make_module: Callable[..., Any]) -> None:
    module = make_module(debugged="def run(): return 1")
    lines: list[str] = []

    def debug(frame: Any, event: str, arg: object) -> Any:
        lines.append(frame.f_globals["__name__"])
        return None

    before = sys.gettrace()
    sys.settrace(debug)
    try:
        trace_dependencies(module.run, [()])
        assert sys.gettrace() is debug
    finally:
        sys.settrace(before)
    assert "debugged" in lines


@pytest.mark.usefixtures("without_monitors")
def test_a_profiler_that_cannot_be_put_back_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getprofile", lambda: 3)
    with pytest.raises(FootprintError, match=r"a profiler written in C is on \(builtins.int\)"):
        trace_dependencies(abs, [(1,)])
    monkeypatch.undo()
    assert sys.getprofile() is None


def test_traces_nest(make_module: Callable[..., Any]) -> None:
    module = make_module(
        outer="""
import inner, late
from opscope.footprint import trace_dependencies

def run():
    found = trace_dependencies(inner.run, [()])
    late.f()
    return found
""",
        inner="import innermost\ndef run(): return innermost.f()",
        innermost="def f(): return 1",
        late="def f(): return 1",
    )
    found = trace_dependencies(module.run, [()])
    assert {"outer", "inner", "innermost", "late"} <= set(found)
    assert module.run() == ["inner", "innermost"]


def test_a_tracer_used_again_inside_another_shows_it_all(make_module: Callable[..., Any]) -> None:
    module = make_module(
        again="import within\ndef run(): return within.f()", within="def f(): return 1"
    )
    inner, outer = ModuleTracer(), ModuleTracer()
    inner.call(module.run)
    outer.call(inner.call, module.run)
    assert inner.modules == ["again", "within"]
    assert {"again", "within"} <= set(outer.modules)


def test_each_call_of_a_tracer_adds_what_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    tracer = ModuleTracer()
    for name in ("_heapq", "_bisect"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        tracer.call(functools.partial(importlib.import_module, name))
    assert {"_heapq", "_bisect"} <= set(tracer.loaded)


def test_a_tracer_is_not_entered_twice() -> None:
    tracer = ModuleTracer()
    with pytest.raises(FootprintError, match="make another one"):
        tracer.call(lambda: tracer.call(abs, 1))
    assert tracer.call(abs, -1) == 1


def test_a_thread_that_goes_on_is_left_alone_afterwards() -> None:
    started, go_on = threading.Event(), threading.Event()
    found: list[Any] = []

    def work() -> None:
        started.set()
        go_on.wait()
        abs(1)
        found.append(sys.getprofile())

    threads = []

    def program() -> None:
        threads.append(threading.Thread(target=work))
        threads[0].start()
        started.wait()

    trace_dependencies(program, [()])
    go_on.set()
    threads[0].join()
    assert found == [None]


@pytest.mark.usefixtures("without_monitors")
def test_what_a_program_does_to_its_profiler_is_told(make_module: Callable[..., Any]) -> None:
    module = make_module(
        own="import sys, missed\ndef run():\n    sys.setprofile(None)\n    missed.f()",
        missed="def f(): return 1",
    )
    with pytest.warns(TracerWarning, match="modules that it came to later are missing"):
        assert trace_dependencies(module.run, [()]) == ["own"]
    assert sys.getprofile() is None


@pytest.mark.usefixtures("without_monitors")
def test_a_program_that_catches_its_deep_recursion_ends_as_ever() -> None:
    def deep(n: int) -> int:
        return deep(n + 1)

    def program() -> str:
        try:
            deep(0)
        except RecursionError:
            return "caught"
        return "no"

    tracer = ModuleTracer()
    assert tracer.call(program) == "caught"
    assert not tracer.is_whole
    assert sys.getprofile() is None


def test_nothing_is_kept_alive() -> None:
    class Big:
        pass

    def program() -> weakref.ref[Big]:
        names = {"big": Big()}
        exec("def f(): return 1\nf()", names)
        return weakref.ref(names["big"])

    tracer = ModuleTracer()
    alive = tracer.call(program)
    gc.collect()
    assert alive() is None


def test_what_has_no_python_code_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "_heapq", raising=False)
    tracer = ModuleTracer()
    tracer.call(functools.partial(importlib.import_module, "_heapq"))
    assert "_heapq" in tracer.loaded
    assert "importlib" in tracer.uses


@pytest.mark.skipif(HAS_MONITORS, reason="Python 3.12 and later have monitors")
def test_where_python_has_no_monitors_none_is_used() -> None:
    before = sys.getprofile()
    profilers = [ModuleTracer().call(sys.getprofile) for _ in range(2)]
    assert None not in profilers
    assert sys.getprofile() is before


@pytest.mark.skipif(not HAS_MONITORS, reason="Python 3.12 and later have monitors")
class TestMonitors:
    @pytest.fixture(autouse=True)
    def way_of_seeing(self) -> None:
        """As it is."""

    def test_the_profiler_of_the_program_stays_on(self, make_module: Callable[..., Any]) -> None:
        module = make_module(
            own="import sys, later\ndef run():\n sys.setprofile(None)\n later.f()",
            later="def f(): return 1",
        )
        count, _ = counting()
        sys.setprofile(count)
        try:
            assert ModuleTracer().call(sys.getprofile) is count
        finally:
            sys.setprofile(None)
        assert trace_dependencies(module.run, [()]) == ["later", "own"]

    def test_monitors_are_given_back_after_errors_too(self) -> None:
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                ModuleTracer().call(lambda: 1 / 0)
        taken = [number for number in (3, 4) if sys.monitoring.get_tool(number) is not None]
        assert taken == []

    def test_where_all_monitors_are_taken_traces_still_nest(
        self, make_module: Callable[..., Any]
    ) -> None:
        run = make_module(deepest="def run(): return 1").run
        tracers = [ModuleTracer() for _ in range(5)]
        for tracer in tracers:
            run = functools.partial(tracer.call, run)
        assert run() == 1
        assert ["deepest" in tracer.modules for tracer in tracers] == [True] * 5

    def test_threads_that_are_not_of_the_program_are_not_seen(
        self, make_module: Callable[..., Any]
    ) -> None:
        module = make_module(foreign="def f(): return 1", own="def f(): return 2")
        other = importlib.import_module("own")
        begin, done = threading.Event(), threading.Event()

        def elsewhere() -> None:
            begin.wait()
            module.f()
            done.set()

        thread = threading.Thread(target=elsewhere)
        thread.start()

        def program() -> None:
            begin.set()
            done.wait()
            other.f()

        found = trace_dependencies(program, [()])
        thread.join()
        assert "own" in found
        assert "foreign" not in found

    def test_a_module_that_another_thread_was_in_before_is_seen(
        self, make_module: Callable[..., Any]
    ) -> None:
        module = make_module(shared="def f(): return 1")
        begin, done = threading.Event(), threading.Event()

        def elsewhere() -> None:
            begin.wait()
            module.f()
            done.set()

        thread = threading.Thread(target=elsewhere)
        thread.start()

        def program() -> None:
            begin.set()
            done.wait()
            module.f()

        found = trace_dependencies(program, [()])
        thread.join()
        assert "shared" in found

    def test_the_hook_for_threads_sees_their_first_event(self) -> None:
        count, seen = counting()
        threading.setprofile(count)
        try:
            thread = threading.Thread(target=abs, args=(1,))
            trace_dependencies(lambda: (thread.start(), thread.join()), [()])
        finally:
            threading.setprofile(None)
        assert "call" in seen
