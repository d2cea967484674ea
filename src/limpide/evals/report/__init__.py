"""Reports on runs: numbers as plain data, and from nothing but these a page and a Markdown text."""

from limpide.evals.report.data import as_json, report_data
from limpide.evals.report.html import as_html
from limpide.evals.report.markdown import as_markdown
from limpide.evals.report.source import Source, find_sources

__all__ = ["Source", "as_html", "as_json", "as_markdown", "find_sources", "report_data"]
