"""The other lists that the build of ExecuTorch takes, each of a selection, whatever that was read from.

operator_list(selection)      # aten::add.out,aten::mul.out        EXECUTORCH_SELECT_OPS_LIST, --root_ops
operator_dict(selection)      # {"aten::add.out": ["v1/6;0|..."]}  ops_dict, --ops_dict
operator_schema(selection)    # - op: add.out                      EXECUTORCH_SELECT_OPS_YAML
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import yaml

from ...errors import FootprintError, FormatError
from ..kernel_keys import ANY_KERNEL, operator_name
from ..selection import OperatorSelection

_IMPLIED: Final = "aten::"


def operator_list(selection: OperatorSelection) -> str:
    """Return all operators with commas between them.

    Raises:
        FootprintError: the selection cannot be said in names, or one of them is none.
    """
    return ",".join(_names(selection))


def operator_dict(selection: OperatorSelection) -> str:
    """Return as JSON the keys of the kernels of each operator; an empty list stands for all kernels.

    Raises:
        FootprintError: the selection cannot be said in names, or one of them is none.
    """
    kernels = selection.et_kernel_metadata
    return json.dumps(
        {
            name: [] if ANY_KERNEL in kernels.get(name, (ANY_KERNEL,)) else sorted(kernels[name])
            for name in _names(selection)
        },
        indent=1,
    )


def operator_schema(selection: OperatorSelection) -> str:
    """Return the list of operators that stands in files of kernels, such as ``functions.yaml``.

    Raises:
        FootprintError: the selection cannot be said in names, or one of them is none.
    """
    names = [name.removeprefix(_IMPLIED) for name in _names(selection)]
    return yaml.safe_dump([{"op": name} for name in names], width=10**9)


def _names(selection: OperatorSelection) -> Iterator[str]:
    if selection.include_all_operators:
        raise FootprintError("all operators are selected, which a list of names cannot say")
    for name in sorted(selection.operators):
        try:
            yield operator_name(name)
        except FormatError as error:
            raise FootprintError(f"{error}; it cannot stand in a list for ExecuTorch") from error
