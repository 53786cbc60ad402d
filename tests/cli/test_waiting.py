import io
import sys
import time

import pytest

from opscope.cli.waiting import waiting


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with waiting("tracing"):
        pass
    assert sys.stderr.getvalue() == ""


def test_long_work_is_shown_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with waiting("tracing net[0]", patience_s=0.0):
        time.sleep(0.3)
    assert "tracing net[0]" in sys.stderr.getvalue()


def test_long_work_shows_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with waiting("tracing", patience_s=0.0):
        time.sleep(0.1)
    assert sys.stderr.getvalue() == ""


def test_an_exception_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    with pytest.raises(ValueError, match="broken"), waiting("tracing", patience_s=0.0):
        raise ValueError("broken")
