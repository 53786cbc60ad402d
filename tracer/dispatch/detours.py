"""Seeming to be inside a transform of ``torch.func``, for code in C++ that then asks Python what to do.

Torch looks whether the key of its transforms is among those included on the thread. Ours is there for
that look alone: excluded as well, which is what counts for operators, it changes no operator that runs
meanwhile, be it in a destructor.
"""

from __future__ import annotations

import threading
from typing import Final

import torch

_C = torch._C
_TRANSFORMS: Final = _C._dispatch_key_parse("FuncTorchDynamicLayerFrontMode")


class _Detour(threading.local):
    """Whether this thread seems to be inside a transform, and what was so before."""

    is_begun = False
    was_excluded = False


_detour = _Detour()


def begin_detour() -> None:
    """Make this thread seem to be inside a transform."""
    if not _detour.is_begun:
        _detour.was_excluded = _C._dispatch_tls_is_dispatch_key_excluded(_TRANSFORMS)
        _detour.is_begun = True
    _C._dispatch_tls_set_dispatch_key_excluded(_TRANSFORMS, True)
    _C._dispatch_tls_set_dispatch_key_included(_TRANSFORMS, True)


def end_detour() -> None:
    """Make this thread be again as it was, if it seems to be inside a transform."""
    if _detour.is_begun:
        _C._dispatch_tls_set_dispatch_key_included(_TRANSFORMS, False)
        _C._dispatch_tls_set_dispatch_key_excluded(_TRANSFORMS, _detour.was_excluded)
        _detour.is_begun = False
