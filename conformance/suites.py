"""The corpora by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from torch._export.db.examples import all_examples
from torch.testing._internal.autograd_function_db import autograd_function_db
from torch.testing._internal.common_methods_invocations import (
    foreach_binary_op_db,
    foreach_other_op_db,
    foreach_pointwise_op_db,
    foreach_reduce_op_db,
    foreach_unary_op_db,
    op_db,
    python_ref_db,
)
from torch.testing._internal.common_modules import module_db
from torch.testing._internal.common_optimizers import optim_db
from torch.testing._internal.custom_op_db import custom_op_db
from torch.testing._internal.hop_db import hop_db
from torch.testing._internal.opinfo.definitions.nested import njt_op_db

from .exportability import ExportabilitySuite
from .modules import ModuleSuite
from .operators import OperatorSuite
from .optimizers import OptimizerSuite
from .samples import Suite

_FOREACH: Final = (
    *foreach_unary_op_db,
    *foreach_binary_op_db,
    *foreach_pointwise_op_db,
    *foreach_reduce_op_db,
    *foreach_other_op_db,
)

SUITES: Final[dict[str, Callable[[], Suite]]] = {
    "op_db": lambda: OperatorSuite(op_db),
    "module_db": lambda: ModuleSuite(module_db),
    "optim_db": lambda: OptimizerSuite(optim_db),
    "hop_db": lambda: OperatorSuite(hop_db),
    "custom_op_db": lambda: OperatorSuite(custom_op_db),
    "autograd_function_db": lambda: OperatorSuite(autograd_function_db),
    "foreach_op_db": lambda: OperatorSuite(_FOREACH),
    # Torch's own gradients of jagged tensors end the process in places.
    "njt_op_db": lambda: OperatorSuite(njt_op_db, takes_gradients=False),
    "python_ref_db": lambda: OperatorSuite(python_ref_db),
    "exportability": lambda: ExportabilitySuite(all_examples()),  # type: ignore[no-untyped-call]
}
"""What makes each suite. Importing this file imports torch's test data, which takes some seconds."""
