from typing import Final

from .checking import CheckReport as CheckReport
from .comparing import diff as diff
from .comparison import GraphDiff as GraphDiff
from .errors import CaptureError as CaptureError
from .errors import CheckError as CheckError
from .errors import FormatError as FormatError
from .errors import GuardError as GuardError
from .errors import InputError as InputError
from .errors import IRError as IRError
from .errors import OpscopeError as OpscopeError
from .errors import ParseError as ParseError
from .errors import PassError as PassError
from .errors import RenderError as RenderError
from .errors import ReplayError as ReplayError
from .errors import ReportError as ReportError
from .errors import TracerWarning as TracerWarning
from .errors import UnsupportedTorchError as UnsupportedTorchError
from .errors import VerifyError as VerifyError
from .ir import Graph as Graph
from .ir import Node as Node
from .ir import Value as Value
from .ir import verify as verify
from .ir.findings import Diagnostic as Diagnostic
from .ir.findings import DiagnosticKind as DiagnosticKind
from .ir.findings import Severity as Severity
from .loaded import LoadedProgram as LoadedProgram
from .loaded import load as load
from .passes.base import Pass as Pass
from .passes.base import PassResult as PassResult
from .passes.patterns import RewriteRules as RewriteRules
from .passes.registry import register_pass as register_pass
from .pictures import to_dot as to_dot
from .pictures import to_graphviz as to_graphviz
from .pictures import to_networkx as to_networkx
from .pictures import to_pydot as to_pydot
from .program import TracedProgram as TracedProgram
from .program import functionalize as functionalize
from .program import parse as parse
from .program import rewrite_rule as rewrite_rule
from .program import trace as trace
from .reports import Summary as Summary
from .reports import flop_formula as flop_formula
from .reports import summarize as summarize
from .saving import save as save
from .traced_module import TracedModule as TracedModule
from .traced_module import trace_module as trace_module
from .tracer import TracingState as TracingState
from .tracer import get_tracing_state as get_tracing_state
from .tracer import is_tracing as is_tracing
from .tracer import paused as paused
from .tracer import set_tracing_state as set_tracing_state
from .tracer import tracing as tracing
from .visualize import ViewOptions as ViewOptions

__version__: Final[str]
_HOMES: Final[dict[str, tuple[str, ...]]]
