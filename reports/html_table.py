"""HTML: a table for notebooks, in the notebook's own colours, without scripts."""

from __future__ import annotations

from html import escape
from typing import Final

from .table import Line, Table

_STYLE: Final = (
    "<style>.opscope-summary{font-size:13px;line-height:1.45}"
    ".opscope-summary table{border-collapse:collapse;margin:.5em 0}"
    ".opscope-summary th{font-weight:600;border-bottom:1px solid rgba(128,128,128,.6)}"
    ".opscope-summary th,.opscope-summary td{padding:1px 10px;text-align:right;white-space:nowrap;"
    "background:none}"
    ".opscope-summary .label{text-align:left}"
    ".opscope-summary td{font-variant-numeric:tabular-nums}"
    ".opscope-summary .label,.opscope-summary code{font-family:ui-monospace,Menlo,Consolas,monospace}"
    ".opscope-summary .detail,.opscope-summary dt{opacity:.6}"
    ".opscope-summary .bar{display:inline-block;width:64px;text-align:left;margin-left:8px}"
    ".opscope-summary .bar i{display:inline-block;height:.65em;background:#4c8dd6;border-radius:1px}"
    ".opscope-summary dl{display:grid;grid-template-columns:max-content auto;gap:2px 14px;margin:.5em 0}"
    ".opscope-summary dd{margin:0}</style>"
)


def to_html(table: Table) -> str:
    """Return a table as a fragment of HTML that stands by itself."""
    columns = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    head = f'<tr><th class="label">{escape(table.heading)}</th>{columns}</tr>'
    body = "".join(_row(line, table.bar) for line in table.lines)
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(fact)}</dd>" for name, fact in table.facts)
    return (
        f'{_STYLE}<div class="opscope-summary"><div>{escape(table.title)}</div>'
        f"<table><thead>{head}</thead><tbody>{body}</tbody></table><dl>{facts}</dl></div>"
    )


def _row(line: Line, bar: int | None) -> str:
    indent = f"padding-left:{10 + 16 * len(line.is_last)}px"
    detail = f' <span class="detail">{escape(line.detail)}</span>' if line.detail else ""
    cells = "".join(
        f"<td>{escape(cell)}{_bar(line.share) if column == bar else ''}</td>"
        for column, cell in enumerate(line.cells)
    )
    return f'<tr><td class="label" style="{indent}">{escape(line.label)}{detail}</td>{cells}</tr>'


def _bar(share: float) -> str:
    return f'<span class="bar"><i style="width:{100 * min(max(share, 0.0), 1.0):.1f}%"></i></span>'
