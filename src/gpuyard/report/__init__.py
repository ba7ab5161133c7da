"""Results for people: pages, texts for the terminal, comparisons."""

from __future__ import annotations

from gpuyard.report.compare import Comparison, compare, compare_all
from gpuyard.report.html import write_report
from gpuyard.report.likeness import Likeness, compare_workloads
from gpuyard.report.likeness_page import write_likeness
from gpuyard.report.several import write_several
from gpuyard.report.text import (
    comparison_table,
    group_tables,
    notice_texts,
    several_tables,
    summary_rows,
    summary_table,
)
from gpuyard.report.versus import write_comparison

__all__ = [
    "Comparison",
    "Likeness",
    "compare",
    "compare_all",
    "compare_workloads",
    "comparison_table",
    "group_tables",
    "notice_texts",
    "several_tables",
    "summary_rows",
    "summary_table",
    "write_comparison",
    "write_likeness",
    "write_report",
    "write_several",
]
