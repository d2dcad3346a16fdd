"""hydrajob-report: what it prints and writes, that the page needs nothing else, and its exit codes."""

import base64
import contextlib
import html.parser
import io
import os
import re
import subprocess
import unittest
from pathlib import Path

import pandas as pd
from store_fixture import StoreTest, attention_run, generate_run, samples_of

from hydrajob_analysis import numbers
from hydrajob_analysis.report import main

LAUNCHER = Path(__file__).resolve().parents[3] / "analysis" / "hydrajob-report"

TABLE = """\
5 runs: 4 ok, 1 skipped

generate: tiny, f32, cpu, tensor_parallel 1, new_tokens 10 — decode throughput, tokens/s

batch  prefix  mode             tokens/s  95 % interval  × noshared  of noattention  of roofline  decode step   n
─────  ──────  ───────────  ────────────  ─────────────  ──────────  ──────────────  ───────────  ───────────  ──
    4     128  noattention        90.00    81.82–100.00       2.50×        100.0 %        50.0 %     44.44 ms  10
    4     128  hydragen           72.00~    60.00–90.00       2.00×         80.0 %        50.0 %     55.56 ms  10
    4     128  noshared           36.00     32.73–40.00       1.00×         40.0 %        50.0 %     111.1 ms  10

    4     256  hydragen           60.00     54.55–66.67                     66.7 %*       50.0 %     66.67 ms  10
    4     256  noshared     skipped [1]

[1] skipped: needs 212 GiB, has 139 GiB
~ not converged: the interval is wider than target_ci asks for, or there are fewer than 6 samples
* noattention does not depend on the prefix: its run at prefix 128 stands for this one

Not measured

status   mode      runs  batch/prefix  reason
───────  ────────  ────  ────────────  ──────────────────────────
skipped  noshared     1  4/256         needs 212 GiB, has 139 GiB
"""


def quick_runs():
    return [generate_run("noshared", 4, 128, 1.0, 0.1), generate_run("hydragen", 4, 128, 0.5, 0.2, converged=0.0),
            generate_run("noattention", 4, 128, 0.4, 0.1), generate_run("hydragen", 4, 256, 0.6, 0.1),
            generate_run("noshared", 4, 256, status="skipped", reason="needs 212 GiB, has 139 GiB")]


def quick_samples():
    steps = [0.05, 0.06, 0.055, 0.05, 0.2, 0.05]
    return [s for run in range(4) for s in samples_of(run, "decode_step", steps, ranks=2)]


class Outside(html.parser.HTMLParser):
    """Collects what a page would fetch or run, and its pictures and headings."""

    def __init__(self, text):
        super().__init__()
        self.foreign, self.pictures, self.open_tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in ("meta", "img", "br"):
            self.open_tags.append(tag)
        if tag in ("script", "link", "iframe", "object") or "@import" in str(attributes):
            self.foreign.append(tag)
        for name in ("src", "href"):
            value = attributes.get(name, "")
            if value.startswith("data:image/svg+xml;base64,"):
                self.pictures.append(base64.b64decode(value.partition(",")[2]).decode())
            elif value and not value.startswith("#"):
                self.foreign.append(value)

    def handle_endtag(self, tag):
        assert self.open_tags.pop() == tag, tag


class Report(StoreTest):
    def run_main(self, *arguments):
        output, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            code = main([str(argument) for argument in arguments])
        return code, output.getvalue(), errors.getvalue()

    def write_quick(self):
        return self.store(quick_runs(), samples=quick_samples())

    def test_table(self):
        code, output, errors = self.run_main(self.write_quick(), "--table")

        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output, TABLE)

    def test_throttled_samples_are_said_in_one_line(self):
        path = self.store(quick_runs(), samples=samples_of(
            1, "decode_step", [0.1] * 6, sm_clock_mhz=[1980.0, 1755.0, 1300.0, 1980.0, 210.0, None],
            throttle_reasons=[0, 0x4, 0x84, 0x200, 0x1, None]) + samples_of(
            1, "decode_step", [0.1], warmup=True, sm_clock_mhz=[100.0], throttle_reasons=[0x40]))
        line = ("SM clock 1,300–1,980 MHz; 3 of 5 samples throttled (60.0 %): power cap 2, power brake 1, "
                "another reason 1; 1 sample read when idle")
        code, output, errors = self.run_main(path, "-o", self.folder / "out")

        self.assertEqual((code, errors), (0, ""))
        self.assertEqual(output.splitlines()[1], line)
        self.assertIn(f" {line}.</p>", (self.folder / "out/report.html").read_text("utf-8"))

    def test_runs_that_ran_beside_others_are_said_with_the_conditions(self):
        runs = quick_runs()
        runs[1].update(group=1, first_rank=1, started_unix_s=1.7e9, finished_unix_s=1.7e9 + 30)
        told = samples_of(1, "decode_step", [0.1], sm_clock_mhz=[1980.0], throttle_reasons=[0])
        for samples, line in (((), "2 of 5 runs ran beside others"),
                              (told, "SM clock 1,980 MHz; none of 1 sample throttled; 2 of 5 runs ran beside others")):
            path = self.store(runs, samples=samples)
            self.assertEqual(self.run_main(path, "-o", self.folder / "out")[1].splitlines()[1], line)
            self.assertIn(f" {line}.</p>", (self.folder / "out/report.html").read_text("utf-8"))
            self.assertEqual(list(pd.read_csv(self.folder / "out/runs.csv")["concurrent"]), [1, 1, 0, 0, 0])

    def test_samples_that_were_not_throttled(self):
        path = self.store(quick_runs(), samples=samples_of(
            1, "decode_step", [0.1] * 2, sm_clock_mhz=[1980.0, 1980.0], throttle_reasons=[0, 0]))

        self.assertEqual(self.run_main(path, "--table")[1].splitlines()[1],
                         "SM clock 1,980 MHz; none of 2 samples throttled")

    def test_devices_that_tell_one_thing_only(self):
        for told, line in (({"sm_clock_mhz": [1700.0, 1800.0]}, "SM clock 1,700–1,800 MHz"),
                           ({"throttle_reasons": [0x20, None]},
                            "1 of 1 sample throttled (100.0 %): thermal, by software 1")):
            path = self.store(quick_runs(), samples=samples_of(1, "decode_step", [0.1] * 2, **told))
            self.assertEqual(self.run_main(path, "--table")[1].splitlines()[1], line)

    def test_runs_that_are_not_in_the_file_yet_are_said(self):
        path = self.write_quick()
        segments = self.folder / (Path(path).name + ".d") / "segments"
        segments.mkdir(parents=True)
        (segments / "a-1.json").touch()
        code, output, errors = self.run_main(path, "--table")

        self.assertEqual((code, output), (0, TABLE))
        self.assertIn("not in the report: 1 finished runs wait in", errors)

    def test_a_store_named_twice_counts_once(self):
        path = self.write_quick()
        code, output, errors = self.run_main(path, path, "--table")

        self.assertEqual((code, output), (0, TABLE))
        self.assertEqual(errors, f"hydrajob-report: {path}: the same store as {path}, taken once\n")

    def test_output_that_cannot_be_written_is_an_error(self):
        path = self.store([generate_run("noshared", 4, 128, 1.0, 0.1)])  # short: it fails at the end
        with open("/dev/full", "w", encoding="utf-8") as full:
            run = subprocess.run([LAUNCHER, path, "--table"], stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                                 env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"})

        self.assertEqual((run.returncode, run.stderr), (3, "hydrajob-report: standard output: No space left on device\n"))

    def test_page_is_whole_and_fetches_nothing(self):
        code, output, _ = self.run_main(self.write_quick(), "-o", self.folder / "out")
        page = Outside((self.folder / "out/report.html").read_text("utf-8"))

        self.assertEqual(code, 0)
        self.assertTrue(output.startswith(TABLE))
        self.assertIn(f"Report: {self.folder / 'out/report.html'}", output)
        self.assertEqual(page.foreign, [])
        self.assertEqual(page.open_tags, [])
        self.assertEqual(len(page.pictures), 2)  # by prefix, and the distribution
        for picture in page.pictures:
            self.assertIn("<svg", picture)
            self.assertEqual(re.findall(r'(?:href|src)="(?!#|data:)[^"]*"', picture), [])

    def test_page_tells_reasons_environment_and_configuration(self):
        runs = [*quick_runs(), generate_run("paged", 4, 128, status="failed", reason="a < b & c")]
        path = self.store(runs, configs=("mode: <all>\n",), environments=({"host": "node1", "gpu": {"name": "none"}},))
        self.run_main(path, "-o", self.folder / "out")
        text = (self.folder / "out/report.html").read_text("utf-8")

        for expected in ("needs 212 GiB, has 139 GiB", "a &lt; b &amp; c", "mode: &lt;all&gt;", "gpu.name", "node1",
                         "6 runs: 4 ok, 1 failed, 1 skipped"):
            self.assertIn(expected, text)
        self.assertNotIn("a < b", text)

    def test_files_beside_the_page(self):
        self.run_main(self.write_quick(), "-o", self.folder / "out")

        names = sorted(path.name for path in (self.folder / "out").iterdir())
        self.assertEqual(names, ["1-generate-by-prefix.svg", "1-generate-distribution-batch4.svg", "1-generate.csv",
                                 "1-generate.md", "not-measured.md", "report.html", "runs.csv"])
        cells = pd.read_csv(self.folder / "out/1-generate.csv")
        self.assertEqual(len(cells), 5)
        self.assertEqual(list(cells.loc[cells["mode"] == "hydragen", "speedup"])[0], 2.0)
        self.assertEqual(len(pd.read_csv(self.folder / "out/runs.csv")), 5)
        markdown = (self.folder / "out/1-generate.md").read_text("utf-8")
        self.assertIn("| 4 | noshared | 36.00 | X |", markdown)
        self.assertIn("| 4 | hydragen | 80.0 % | 66.7 % |", markdown)

    def test_the_same_store_gives_the_same_bytes(self):
        path = self.write_quick()
        for name in ("a", "b"):
            self.run_main(path, "-o", self.folder / name)

        for file in (self.folder / "a").iterdir():
            self.assertEqual(file.read_bytes(), (self.folder / "b" / file.name).read_bytes(), file.name)

    def test_every_status_and_both_workloads(self):
        statuses = ("failed", "out_of_memory", "timed_out", "crashed", "skipped")
        runs = [*(generate_run("paged", 4, 2 ** i, status=status, reason=f"because of {status}")
                  for i, status in enumerate(statuses)), generate_run("hydragen", 4, 1, 0.5),
                *(attention_run(mode, 64, 1024, suffix, time * (1 + suffix / 100) * 1e-6, 0.01)
                  for mode, time in (("hydragen", 100), ("noshared", 600)) for suffix in range(0, 320, 16))]
        samples = [s for run in range(6, 46) for s in samples_of(run, "attention", [1e-4, 1.1e-4, 9e-4])]
        code, output, errors = self.run_main(self.store(runs, samples=samples), "-o", self.folder / "out")
        page = Outside((self.folder / "out/report.html").read_text("utf-8"))

        self.assertEqual((code, errors), (0, ""))
        for status in statuses:
            self.assertIn(f"because of {status}", output)
        self.assertIn("46 runs: 41 ok, 1 failed, 1 out of memory, 1 timed out, 1 crashed, 1 skipped", output)
        self.assertIn("6.00×", output)
        self.assertEqual(len(page.pictures), 3)  # by suffix, speed-up, distribution

    def test_nothing_measured_and_nothing_at_all(self):
        for runs in ([generate_run("vllm", 4, 128, status="skipped", reason="no such engine yet")], []):
            path = self.store(runs, configs=() if not runs else ("a",), environments=() if not runs else ({},))
            code, output, errors = self.run_main(path, "-o", self.folder / "out")
            self.assertEqual((code, errors), (0, ""))
            self.assertIn("1 run: 1 skipped" if runs else "no runs", output)

    def test_wrong_store_exits_3_and_writes_nothing(self):
        code, output, errors = self.run_main(self.folder / "absent.h5", "-o", self.folder / "out")

        self.assertEqual((code, output), (3, ""))
        self.assertEqual(errors, f"hydrajob-report: {self.folder / 'absent.h5'}: no such file\n")
        self.assertFalse((self.folder / "out").exists())

    def test_output_that_is_a_file(self):
        (self.folder / "out").write_text("")
        code, _, errors = self.run_main(self.write_quick(), "-o", self.folder / "out")
        self.assertEqual((code, errors), (3, f"hydrajob-report: {self.folder / 'out'}: File exists\n"))

    def test_launcher(self):
        path = self.write_quick()
        done = subprocess.run([LAUNCHER, path, "--table"], capture_output=True, text=True, cwd="/", check=False)
        self.assertEqual((done.returncode, done.stdout), (0, TABLE), done.stderr)
        usage = subprocess.run([LAUNCHER, path], capture_output=True, text=True, check=False)
        self.assertEqual(usage.returncode, 2)
        self.assertIn("one of the arguments -o/--output --table is required", usage.stderr)


class Numbers(unittest.TestCase):
    def test_four_significant_digits(self):
        for value, text in ((12345.6, "12,346"), (1234.5678, "1,235"), (99.999, "100.00"), (6.2134, "6.213"),
                            (0.012345, "0.01235"), (0.0, "0.000"), (float("nan"), "–")):
            self.assertEqual(numbers.significant(value), text)

    def test_durations(self):
        for value, text in ((2.5, "2.500 s"), (0.0123, "12.30 ms"), (4.5e-5, "45.00 µs"), (3e-8, "30.00 ns")):
            self.assertEqual(numbers.duration(value), text)


if __name__ == "__main__":
    unittest.main()
