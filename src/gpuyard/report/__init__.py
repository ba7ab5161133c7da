"""Results for people: pages, texts for the terminal, comparisons."""

from __future__ import annotations

from gpuyard.report.compare import Comparison, compare, compare_all
from gpuyard.report.html import write_report
from gpuyard.report.text import comparison_table, group_tables, notice_texts, summary_rows, summary_table
from gpuyard.report.versus import write_comparison

__all__ = [
    "Comparison",
    "compare",
    "compare_all",
    "comparison_table",
    "group_tables",
    "notice_texts",
    "summary_rows",
    "summary_table",
    "write_comparison",
    "write_report",
]
