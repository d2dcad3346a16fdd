"""The report as one static HTML file: no script, nothing fetched; the plots are inside as SVG."""

import base64
import html
import io
from datetime import datetime, timezone

from . import numbers, summaries
from .cells import BASELINE, CEILING
from .figures import section_plots

STYLE = """
:root { color: #1c1e21; background: #ffffff; font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
body { max-width: 70rem; margin: 0 auto; padding: 1.5rem 1.5rem 4rem; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.2rem; margin: 2.6rem 0 .6rem;
  border-bottom: 1px solid #d8dce1; padding-bottom: .25rem; } h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
.lead, .note, figcaption { color: #5b626b; } .note { font-size: .85rem; margin: .15rem 0; }
nav a { margin-right: 1.2rem; } a { color: #0b5cad; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .87rem; margin: .6rem 0 .5rem; }
caption { text-align: left; font-weight: 600; padding: 0 0 .35rem; white-space: nowrap; }
th, td { padding: .18rem .7rem; text-align: right; white-space: nowrap; } .left { text-align: left; }
th { border-bottom: 1.5px solid #8b929a; font-weight: 600; } tbody tr:hover { background: #f2f6fb; }
tr.break td { border-top: 1px solid #d8dce1; } .scroll { overflow-x: auto; }
.wrap td { white-space: normal; overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figure img { max-width: 100%; height: auto; } figcaption { font-size: .85rem; }
pre { background: #f6f7f9; border: 1px solid #e3e6ea; padding: .8rem; overflow-x: auto; font-size: .82rem; }
details > summary { cursor: pointer; margin: .5rem 0; color: #0b5cad; }
"""

METHOD = f"""
<p>A value is the median over the measured iterations, warm-up left out; of each iteration and step the slowest rank
counts. The 95 % interval is that of the median from order statistics; there is none below 6 samples.</p>
<p>Decode throughput is batch × (new_tokens − 1) / (sum of the decode steps). The time to answer is that of all
questions at once: their prefill and all decode steps, the document being in the cache. “× {BASELINE}” is the speed
over that of <code>{BASELINE}</code> at the same batch, prefix and suffix; “of {CEILING}” the part of the speed of
<code>{CEILING}</code>, the same model with the attention left out. The ends of a ratio's bar come from the ends of both
intervals. “Of roofline” is the time predicted from the FLOPs, the bytes and the machine's measured ceilings, over the
time measured.</p>
"""


def make_page(store, sections):
    """The HTML text, and the plots of each section: [(section, [Plot])]."""
    plots = [(section, section_plots(section, store.samples)) for section in sections]
    parts = [_head(store), _navigation(sections), _status(store)]
    parts += [_section(number, section, own) for number, (section, own) in enumerate(plots, 1)]
    parts += [_unmeasured(store), _environments(store), _configurations(store),
              f'<h2 id="method">How the numbers are made</h2>{METHOD}', "</body></html>\n"]
    return "\n".join(part for part in parts if part), plots


def _head(store):
    title = ", ".join(sorted(set(store.runs["experiment"]))) or "no runs"
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # Says to the browser what is so anyway: nothing is loaded from anywhere.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>hydrajob: {html.escape(title)}</title><style>{STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1>")


def _status(store):
    line = summaries.status_line(store.runs)
    paths = ", ".join(f"<code>{html.escape(path)}</code>" for path in store.paths)
    times = store.runs[["started_unix_s", "finished_unix_s"]]
    started, finished = times["started_unix_s"].min(), times["finished_unix_s"].max()
    when = f", measured {_utc(started)} to {_utc(finished)}" if started > 0 and finished > 0 else ""
    condition = html.escape(summaries.condition_line(store))
    return f'<p class="lead">{html.escape(line)}{when}. Store: {paths}.{f" {condition}." if condition else ""}</p>'


def _utc(unix_s):
    return datetime.fromtimestamp(unix_s, timezone.utc).strftime("%Y-%m-%d %H:%M UTC")


def _navigation(sections):
    links = [f'<a href="#section{number}">{html.escape(section.title())}</a>'
             for number, section in enumerate(sections, 1)]
    links += ['<a href="#environment">environment</a>', '<a href="#configuration">configuration</a>',
              '<a href="#method">how the numbers are made</a>']
    return f"<nav>{''.join(links)}</nav>"


def _section(number, section, plots):
    lines = [plot for plot in plots if "distribution" not in plot.name]
    distributions = [plot for plot in plots if "distribution" in plot.name]
    parts = [f'<h2 id="section{number}">{html.escape(section.title())}</h2>', _setting(section)]
    parts += [_figure(plot) for plot in lines]
    parts += [table.html() for table in summaries.grid_tables(section)]
    parts.append(f"<h3>Every cell</h3>{summaries.result_table(section).html()}")
    if distributions:
        parts.append("<h3>Distribution of the samples</h3>")
        parts += [_figure(plot) for plot in distributions]
    return "\n".join(parts)


def _setting(section):
    items = [f"{name} = {value}" for name, value in section.setting.items()
             if value is not None and name not in ("workload", "store")]
    return f'<p class="note">The same for all: {html.escape(", ".join(items))}</p>'


def _figure(plot):
    buffer = io.BytesIO()
    plot.save_svg(buffer)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    caption = html.escape(plot.caption)
    return (f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{data}"><figcaption>{caption}</figcaption>'
            "</figure>")


def _unmeasured(store):
    table = summaries.unmeasured_table(store.runs)
    return f'<h2 id="unmeasured">Not measured</h2><div class="wrap">{table.html()}</div>' if table.rows else ""


def _environments(store):
    tables = "".join(table.html() for table in summaries.environment_tables(store))
    return f'<h2 id="environment">What ran where</h2><div class="wrap">{tables}</div>'


def _configurations(store):
    parts = ['<h2 id="configuration">Configuration</h2>']
    counts = store.runs["config"].value_counts()
    for config in store.configs.itertuples():
        title = f"{config.store}, {numbers.count(counts.get(config.Index, 0), 'run')}"
        parts.append(f"<details open><summary>{html.escape(title)}</summary><pre>{html.escape(config.text)}</pre></details>")
    return "".join(parts)
