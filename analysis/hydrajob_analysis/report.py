"""hydrajob-report: a store as tables on the terminal, and as a folder with an HTML report, tables and plots."""

import argparse
import io
import os
import sys
from pathlib import Path

from . import summaries
from .cells import make_sections
from .schema import StoreError
from .store import load

EXIT_OK, EXIT_STORE = 0, 3  # docs/cli.md; argparse exits 2 for a wrong command line


def main(arguments=None):
    options = _parse(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal without UTF-8 shows "?" and goes on
        sys.stdout.reconfigure(errors="replace")
    try:
        store = load(options.stores)
        sections = make_sections(store.runs)
        page = None if options.table else write_report(store, sections, options.output)
        print_tables(store, sections)
        for line in store.repeated:
            print(f"hydrajob-report: {line}", file=sys.stderr)
        for line in store.waiting:
            print(f"hydrajob-report: not in the report: {line}", file=sys.stderr)
        if page:
            print(f"\nReport: {page}")
        sys.stdout.flush()
    except StoreError as error:
        print(f"hydrajob-report: {error}", file=sys.stderr)
        return EXIT_STORE
    except BrokenPipeError:  # the reader, a pager say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    except OSError as error:
        print(f"hydrajob-report: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        if error.filename is None:  # or Python would try once more, and say so
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_STORE
    return EXIT_OK


def _parse(arguments):
    parser = argparse.ArgumentParser(prog="hydrajob-report", description=__doc__,
                                     epilog="Exit codes: 0 done, 2 wrong command line, 3 a store that cannot be read.")
    parser.add_argument("stores", nargs="+", metavar="STORE", help="a store file; several are reported side by side")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-o", "--output", type=Path, metavar="DIR",
                      help="folder to write: report.html, tables as CSV and Markdown, plots as SVG")
    what.add_argument("--table", action="store_true", help="print the tables only")
    return parser.parse_args(arguments)


def print_tables(store, sections):
    print(summaries.status_line(store.runs))
    condition = summaries.condition_line(store)
    if condition:
        print(condition)
    for section in sections:
        print("\n" + summaries.result_table(section).text())
    unmeasured = summaries.unmeasured_table(store.runs)
    if unmeasured.rows:
        print("\n" + unmeasured.text())


def write_report(store, sections, folder):
    """Writes the folder; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    # Loads matplotlib, which the tables alone do not need.
    from .page import make_page

    text, plots = make_page(store, sections)
    page = folder / "report.html"
    page.write_text(text, encoding="utf-8")
    store.runs.to_csv(folder / "runs.csv", index=False)
    for number, (section, own) in enumerate(plots, 1):
        name = f"{number}-{section.workload}"
        section.cells.to_csv(folder / f"{name}.csv", index=False)
        tables = [*summaries.grid_tables(section), summaries.result_table(section)]
        (folder / f"{name}.md").write_text("\n".join(table.markdown() for table in tables), encoding="utf-8")
        for plot in own:
            plot.save_svg(folder / f"{number}-{plot.name}.svg")
    unmeasured = summaries.unmeasured_table(store.runs)
    (folder / "not-measured.md").write_text(unmeasured.markdown(), encoding="utf-8")
    return page


if __name__ == "__main__":
    sys.exit(main())
