"""The scheduler under mpirun: every way a run can end is a row with its reason, the sweep goes on, starting again
does what is missing and nothing else, and no finished run is lost.

Tests run side by side: most of a test's time mpirun waits, two seconds whenever ranks leave with another code than 0."""
import collections
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import h5py

MPIRUN, HYDRAJOB, PROBE, NP = sys.argv.pop(), sys.argv.pop(), sys.argv.pop(), int(sys.argv.pop())
DEGREES = [d for d in (1, 2, 4, 8) if d <= NP]
PREFIXES = [16, 32, 48]
SIDE_BY_SIDE = 4

CONFIG = """
name: probe
store: results.h5
workload: attention
dtype: f32
n_heads: 8
n_kv_heads: 8
head_dim: 64
suffix: 16
batch: 2
"""

Row = collections.namedtuple("Row", "status reason attempt degree prefix sum")


def text(value):
    return value.decode() if isinstance(value, bytes) else value


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def metric(runs, name, i):
    return runs[name][i] if name in runs else float("nan")


class Sched(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="hj")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.configure()

    def configure(self, mode="hydragen", degrees=DEGREES, prefixes=PREFIXES):
        (self.folder / "probe.yaml").write_text(
            CONFIG + f"mode: {mode}\ntensor_parallel: {list(degrees)}\nprefix: {list(prefixes)}\n")

    def command(self, *options, np=NP):
        return [MPIRUN, "--oversubscribe", "--bind-to", "none", "-np", str(np), PROBE, "probe.yaml", *options]

    def environment(self, probe, more=None):
        return dict(os.environ, HJ_PROBE=probe, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                    OMP_NUM_THREADS="1", **(more or {}))

    def run_probe(self, *options, probe="", np=NP, before=(), more=None):
        run = subprocess.run([*before, *self.command(*options, np=np)], cwd=self.folder,
                             env=self.environment(probe, more), capture_output=True, text=True, timeout=120)
        self.output = run.stdout + run.stderr
        return run.returncode

    def start_probe(self, *options, probe=""):
        log = open(self.folder / "log", "w+")
        self.addCleanup(log.close)
        return subprocess.Popen(self.command(*options), cwd=self.folder, env=self.environment(probe), stdout=log,
                                stderr=log)

    def rows(self):
        """The last attempt of every run; none where nothing was done in time to leave a store."""
        if not (self.folder / "results.h5").exists():
            return []
        with h5py.File(self.folder / "results.h5") as file:
            runs = file["runs"]
            found = {}
            for i in range(len(runs["run"])):
                row = Row(text(runs["status"][i]), text(runs["reason"][i]), int(runs["attempt"][i]),
                          int(runs["param.tensor_parallel"][i]), int(runs["param.prefix"][i]),
                          metric(runs, "probe.sum", i))
                run_id = text(runs["run_id"][i])
                if run_id not in found or found[run_id].attempt < row.attempt:
                    found[run_id] = row
            return sorted(found.values(), key=lambda r: (r.degree, r.prefix))

    def expect_code(self, code, expected):
        self.assertEqual(code, expected, getattr(self, "output", ""))

    def expect_all_ok(self, rows):
        self.assertEqual([(r.degree, r.prefix, r.status) for r in rows],
                         [(d, p, "ok") for d in DEGREES for p in PREFIXES])
        for r in rows:
            self.assertEqual(r.sum, r.degree * (r.degree + 1) / 2)

    def expect_one_odd(self, prefix, status, reason):
        """Runs of this prefix ended so, at every degree; all others well."""
        rows = self.rows()
        self.assertEqual(len(rows), len(DEGREES) * len(PREFIXES))
        for r in rows:
            if r.prefix != prefix:
                self.assertEqual((r.status, r.reason), ("ok", ""), r)
            else:
                self.assertEqual(r.status, status, r)
                self.assertIn(reason, r.reason)

    def test_runs_every_run_in_groups_of_its_degree_and_nothing_twice(self):
        self.expect_code(self.run_probe(), 0)
        self.expect_all_ok(self.rows())
        first = (self.folder / "results.h5").stat().st_size
        self.expect_code(self.run_probe(probe="16:prepare_fails,32:prepare_fails,48:prepare_fails"), 0)
        self.expect_all_ok(self.rows())
        self.assertEqual((self.folder / "results.h5").stat().st_size, first)

    def test_a_failure_on_one_rank_before_measuring_is_a_row(self):
        self.expect_code(self.run_probe(probe="32:prepare_fails"), 1)
        self.expect_one_odd(32, "failed", "broken on purpose")
        if NP > 1:
            shared = [r for r in self.rows() if r.status == "failed" and r.degree > 1]
            self.assertTrue(all("rank " in r.reason for r in shared), shared)

    def test_failed_runs_are_left_alone_until_asked_for(self):
        self.expect_code(self.run_probe(probe="32:prepare_fails"), 1)
        self.expect_code(self.run_probe(), 1)
        self.expect_one_odd(32, "failed", "broken on purpose")
        self.expect_code(self.run_probe("--rerun-failed"), 0)
        self.expect_all_ok(self.rows())
        self.assertEqual({r.attempt for r in self.rows() if r.prefix == 32}, {2})
        self.assertEqual({r.attempt for r in self.rows() if r.prefix != 32}, {1})

    def test_out_of_memory_is_a_status_of_its_own(self):
        self.expect_code(self.run_probe(probe="16:no_memory"), 1)
        self.expect_one_odd(16, "out_of_memory", "9 TiB")

    def test_the_hosts_memory_too(self):
        self.expect_code(self.run_probe(probe="16:no_host_memory"), 1)
        self.expect_one_odd(16, "out_of_memory", "memory")

    def test_a_run_past_its_time_limit_is_a_row(self):
        self.expect_code(self.run_probe("--timeout", "0.2", probe="48:endless"), 1)
        self.expect_one_odd(48, "timed_out", "time limit of 200")

    def test_a_failure_while_measuring_is_a_row_even_if_it_takes_another_start(self):
        """A rank of several that fails inside a collective can only end the job."""
        codes = []
        while not codes or codes[-1] == 75:
            codes.append(self.run_probe(probe="32:measure_fails"))
            self.assertLess(len(codes), 10, self.output)
        self.assertEqual(codes, [75] * (len(DEGREES) - 1) + [1], self.output)
        self.expect_one_odd(32, "failed", "lost in the middle")

    def test_a_run_that_crashed_twice_is_recorded_and_left_out(self):
        self.configure(degrees=[NP])
        codes = [self.run_probe(probe="32:killed") for _ in range(3)]
        self.assertEqual(codes, [137, 137, 1], self.output)
        rows = self.rows()
        self.assertEqual([(r.prefix, r.status) for r in rows], [(16, "ok"), (32, "crashed"), (48, "ok")])
        self.assertIn("twice", rows[1].reason)

    def test_a_rank_that_hangs_ends_the_job_and_counts_as_a_crash(self):
        self.configure(degrees=[NP])
        for _ in range(2):
            begin = time.monotonic()
            # Long enough that many ranks on few cores are not taken for hanging in another run.
            code = self.run_probe("--hang-limit", "5", probe="32:hangs")
            self.assertEqual(code, 75, self.output)
            self.assertLess(time.monotonic() - begin, 60)
            self.assertRegex(self.output, r"rank \d: run \w{8}: nothing has happened for 5(\.0)? s \(--hang-limit\) while measuring")
        self.assertEqual(self.run_probe(), 1, self.output)
        self.assertEqual([(r.prefix, r.status) for r in self.rows()], [(16, "ok"), (32, "crashed"), (48, "ok")])

    def test_the_supervisor_starts_a_crashing_sweep_again(self):
        self.configure(degrees=[NP])
        code = self.run_probe(probe="32:segfaults", before=[HYDRAJOB, "supervise", "--backoff", "0.1", "--"])
        self.expect_code(code, 1)
        self.assertIn("signal 11", self.output)
        self.assertEqual([r.status for r in self.rows()], ["ok", "crashed", "ok"])

    def test_the_supervisor_starts_a_sweep_that_lost_a_rank_again(self):
        code = self.run_probe(probe="32:measure_fails", before=[HYDRAJOB, "supervise", "--backoff", "0.1", "--"])
        self.expect_code(code, 1)
        self.assertEqual(self.output.count("asks to be started again"), len(DEGREES) - 1, self.output)
        self.expect_one_odd(32, "failed", "lost in the middle")

    def test_the_supervisor_leaves_a_sweep_alone_whose_time_is_over(self):
        prefixes = range(16, 16 + 16 * 60, 16)
        self.configure(degrees=[NP], prefixes=prefixes)
        code = self.run_probe("--time-limit", "4", probe=",".join(f"{p}:slow" for p in prefixes),
                              before=[HYDRAJOB, "supervise", "--backoff", "0.1", "--"])
        self.expect_code(code, 75)
        self.assertNotIn("restart", self.output)

    def test_stops_when_too_many_failed(self):
        self.configure(degrees=[1], prefixes=range(16, 16 + 16 * 40, 16))
        code = self.run_probe("--max-fails", "2", probe=",".join(f"{p}:prepare_fails" for p in range(16, 656, 16)))
        self.expect_code(code, 1)
        self.assertGreaterEqual(len(self.rows()), 2)
        self.assertLess(len(self.rows()), 2 + NP)  # what was under way may end

    def test_runs_that_cannot_run_are_rows_before_the_others_start(self):
        self.configure(mode="[hydragen, vllm]", degrees=[1])
        self.expect_code(self.run_probe(), 0)
        self.assertEqual(collections.Counter(r.status for r in self.rows()), {"ok": 3, "skipped": 3})
        self.assertEqual({r.reason for r in self.rows() if r.status == "skipped"}, {"no such engine yet"})
        self.expect_code(self.run_probe(), 0)
        self.assertEqual(len(self.rows()), 6)

    def test_idle_ranks_are_reported(self):
        if NP < 4:
            self.skipTest("needs 4 ranks")
        self.configure(degrees=[2])
        self.expect_code(self.run_probe(np=NP - 1), 0)
        self.assertIn("idle", self.output)
        self.assertEqual([r.status for r in self.rows()], ["ok"] * 3)

    def test_a_near_time_limit_stops_before_it_and_resumes(self):
        prefixes = range(16, 16 + 16 * 60, 16)
        self.configure(degrees=[NP], prefixes=prefixes)
        self.expect_code(self.run_probe("--time-limit", "6", probe=",".join(f"{p}:slow" for p in prefixes)), 75)
        self.assertLess(len(self.rows()), 60)
        self.expect_code(self.run_probe(), 0)
        self.assertEqual([r.status for r in self.rows()], ["ok"] * 60)

    def configure_long_run(self, degree):
        """One run of this degree that is predicted to take hours, and short ones of degree 1."""
        axes = [[degree] + [1] * len(PREFIXES), [64] + PREFIXES, [10**9] + [1] * len(PREFIXES)]
        (self.folder / "probe.yaml").write_text(
            CONFIG + "mode: hydragen\nmax_iterations: 1000000000\nzip:\n"
            f"  - {{tensor_parallel: {axes[0]}, prefix: {axes[1]}, iterations: {axes[2]}}}\n")

    def test_a_run_longer_than_the_whole_job_is_skipped_until_there_is_more_time(self):
        self.configure_long_run(NP)
        self.expect_code(self.run_probe("--time-limit", "30"), 1)
        self.assertIn("skipped: predicted to take longer", self.output)
        rows = {r.prefix: r for r in self.rows()}
        self.assertEqual([rows[p].status for p in PREFIXES], ["ok"] * len(PREFIXES))
        self.assertEqual(rows[64].status, "skipped")
        self.assertIn("predicted to take", rows[64].reason)
        self.expect_code(self.run_probe("--time-limit", "30"), 1)
        self.assertEqual(len(self.rows()), 1 + len(PREFIXES))
        self.expect_code(self.run_probe(), 0)
        self.assertEqual({r.status for r in self.rows()}, {"ok"})

    def test_a_degree_without_time_does_not_stop_the_smaller_ones(self):
        """As a job that began long ago, whose whole time would do but whose rest does not."""
        if NP == 1:
            self.skipTest("needs two degrees")
        self.configure_long_run(NP)
        now = int(time.time())
        slurm = {"SLURM_JOB_START_TIME": str(now - 10**9), "SLURM_JOB_END_TIME": str(now + 120)}
        self.expect_code(self.run_probe(more=slurm), 75)
        self.assertIn(f"tensor_parallel {NP}: 1 runs set aside", self.output)
        self.assertEqual([(r.prefix, r.status) for r in self.rows()], [(p, "ok") for p in PREFIXES])
        self.expect_code(self.run_probe(), 0)
        self.assertEqual({r.status for r in self.rows()}, {"ok"})

    def test_a_run_that_had_the_whole_job_in_vain_is_a_row(self):
        if NP > 2:
            self.skipTest("starting many ranks on few cores takes too much of the job's time")
        self.configure(degrees=[NP], prefixes=[16])
        self.expect_code(self.run_probe("--time-limit", "20", probe="16:endless"), 75)
        self.assertEqual([r.status for r in self.rows()], ["timed_out"])
        self.assertIn("nearly the whole time", self.rows()[0].reason)
        self.expect_code(self.run_probe("--time-limit", "20"), 1)
        self.expect_code(self.run_probe("--rerun-failed"), 0)

    def test_a_rank_that_ends_the_job_does_not_blame_other_groups(self):
        if NP < 4:
            self.skipTest("needs two groups of two")
        self.configure(degrees=[2], prefixes=[16, 32, 48, 4096])  # the longest comes first
        broken = "16:measure_fails,32:measure_fails,48:measure_fails"
        for _ in range(3):
            self.expect_code(self.run_probe(probe=broken + ",4096:endless", np=4), 75)
        self.expect_code(self.run_probe(np=4), 1)
        self.assertEqual([(r.prefix, r.status, r.attempt) for r in self.rows()],
                         [(16, "failed", 1), (32, "failed", 1), (48, "failed", 1), (4096, "ok", 1)])

    def test_runs_that_crashed_once_come_last_and_alone(self):
        if NP < 2:
            self.skipTest("needs two groups")
        prefixes = [16, 32, 48, 64, 80, 96]
        self.configure(degrees=[1], prefixes=prefixes)
        slow = ",".join(f"{p}:slow" for p in prefixes if p != 96)
        codes = [self.run_probe(probe=slow + ",96:killed", np=2) for _ in range(3)]
        self.assertEqual(codes, [137, 137, 1], self.output)
        self.assertEqual([(r.prefix, r.status) for r in self.rows()],
                         [(p, "ok") for p in prefixes[:-1]] + [(96, "crashed")])

    def wait_for_segments(self, job, n):
        folder = self.folder / "results.h5.d" / "segments"
        deadline = time.time() + 60
        while time.time() < deadline and job.poll() is None:
            if folder.is_dir() and sum(1 for p in folder.iterdir() if ".tmp." not in p.name) >= n:
                return
            time.sleep(0.05)
        self.fail("no runs were committed: " + (self.folder / "log").read_text())

    def interrupt(self, number):
        """Signals mpirun in the middle of a sweep; returns its exit code."""
        self.configure(degrees=[NP], prefixes=range(16, 16 + 16 * 20, 16))
        job = self.start_probe(probe=",".join(f"{p}:slow" for p in range(16, 336, 16)))
        self.wait_for_segments(job, 2)
        job.send_signal(number)
        code = job.wait(timeout=60)
        self.output = (self.folder / "log").read_text()
        return code

    def expect_resumes(self):
        self.expect_code(self.run_probe(), 0)
        rows = self.rows()
        self.assertEqual(len(rows), 20)
        self.assertEqual({r.status for r in rows}, {"ok"})

    def test_a_warning_lets_the_run_end_and_stops(self):
        self.expect_code(self.interrupt(signal.SIGUSR2), 75)
        self.assertIn("stopping: SIGUSR2", self.output)
        self.assertGreaterEqual(len(self.rows()), 2)
        self.expect_resumes()
        self.assertEqual({r.attempt for r in self.rows()}, {1})

    def test_termination_abandons_the_run_and_does_not_count_as_a_crash(self):
        for _ in range(3):  # a run in flight at two crashes would be left out
            self.assertNotEqual(self.interrupt(signal.SIGTERM), 0)
        self.expect_resumes()

    def test_a_killed_sweep_loses_no_finished_run(self):
        job = self.start_probe(probe=",".join(f"{p}:slow" for p in PREFIXES))
        self.wait_for_segments(job, 1)
        job.kill()
        job.wait()
        time.sleep(1)  # the ranks notice
        self.expect_code(self.run_probe(), 0)
        self.expect_all_ok(self.rows())

    def test_one_message_and_one_code_for_a_wrong_command(self):
        self.expect_code(self.run_probe("--max-fial", "3"), 2)
        self.assertEqual(self.output.count("unknown option '--max-fial': did you mean '--max-fails'?"), 1, self.output)
        (self.folder / "probe.yaml").write_text(CONFIG + "mode: hydragen\nprefx: 16\n")
        self.expect_code(self.run_probe(), 2)
        self.assertEqual(self.output.count("prefx"), 1, self.output)
        self.assertFalse((self.folder / "results.h5").exists())

    def hold_store_elsewhere(self):
        lease = self.folder / "results.h5.d" / "lease"
        lease.parent.mkdir()
        lease.write_text("elsewhere 1 1\n")
        return lease

    def test_waits_for_a_job_that_may_be_gone_and_takes_over(self):
        if NP != 2:
            self.skipTest("once is enough, it takes its time")
        nearly_a_minute_ago = time.time() - 58
        os.utime(self.hold_store_elsewhere(), (nearly_a_minute_ago, nearly_a_minute_ago))
        self.expect_code(self.run_probe(), 0)
        self.assertIn("held by process 1 on elsewhere", self.output)
        self.expect_all_ok(self.rows())

    def test_no_rank_takes_a_core_from_the_job_that_has_the_store(self):
        if NP != 2:
            self.skipTest("once is enough")
        self.hold_store_elsewhere()
        job = self.start_probe()
        while "held by process 1 on elsewhere" not in (self.folder / "log").read_text():
            self.assertIsNone(job.poll(), (self.folder / "log").read_text())
            time.sleep(0.1)
        ranks = pathlib.Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        self.assertEqual(len(ranks), NP)
        before = [cpu_seconds(rank) for rank in ranks]
        time.sleep(2)
        used = [cpu_seconds(rank) - earlier for rank, earlier in zip(ranks, before)]
        job.kill()
        job.wait()
        self.assertLess(max(used), 0.5, "a rank that spins uses two seconds, or its half of a busy core")

    def test_a_store_that_cannot_be_written_is_exit_code_3(self):
        (self.folder / "results.h5.d").write_text("in the way")
        self.expect_code(self.run_probe(), 3)


def run_one(test):
    result = unittest.TestResult()
    begin = time.time()
    test.run(result)
    problems = [trace for _, trace in result.failures + result.errors]
    outcome = "FAILED" if problems else "skipped: " + result.skipped[0][1] if result.skipped else "ok"
    print(f"{time.time() - begin:6.1f} s  {test.id().split('.')[-1]}: {outcome}", flush=True)
    return problems


def main():
    tests = list(unittest.defaultTestLoader.loadTestsFromTestCase(Sched))
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        problems = [problem for problems in pool.map(run_one, tests) for problem in problems]
    print(*problems, f"{len(tests)} tests, {len(problems)} failed", sep="\n")
    return 1 if problems or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
