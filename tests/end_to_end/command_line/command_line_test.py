"""The command as a person types it, alone and under mpirun: what is wrong is said once, with the right exit code.

usage: command_line_test.py HYDRAJOB MPIRUN SOURCE_FOLDER [unittest's options]
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HYDRAJOB, MPIRUN, SOURCE = sys.argv[1:4]

CONFIG = """
name: small
store: results.h5
workload: attention
dtype: f32
n_heads: 2
n_kv_heads: 2
head_dim: 64
suffix: 16
prefix: [16, 32]
batch: 1
mode: paged
iterations: 1
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj")))
        (self.folder / "small.yaml").write_text(CONFIG)

    def run_command(self, *command):
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120,
                              check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def on_two_ranks(self, *arguments):
        return self.run_command(MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "-np", "2", HYDRAJOB, *arguments)

    def expect(self, code, expected, message):
        self.assertEqual(code, expected, self.output)
        self.assertEqual(self.output.count(message), 1, self.output)


class DescribedMachine(CommandLine):
    """A plan for a machine that is not there."""

    CONFIG = str(Path(SOURCE) / "configs" / "e2e-7b.yaml")

    def test_many_ranks_of_it_have_its_memory_and_its_schedule(self):
        self.assertEqual(self.run_command(HYDRAJOB, self.CONFIG, "--dry-run", "--machine", "h200", "--ranks", "4096"), 0)
        self.assertIn("105 runs on 512 groups of 8 ranks, predicted", self.output)
        self.assertRegex(self.output, r"\npredicted in all: .*, on h200, loading left out\n"
                                      r"of the ranks' time: \d+\.\d % idle, \d+\.\d % in collectives; \d+(\.\d+)? times")
        self.assertIn("70 skipped", self.output)  # no such engine
        self.assertEqual(self.run_command(HYDRAJOB, self.CONFIG, "--dry-run", "--machine", "h200", "--ranks", "100000"), 0)
        self.assertIn("105 runs on 12500 groups", self.output)
        self.assertIn("70 skipped", self.output)

    def test_runs_are_those_of_its_device(self):
        self.assertEqual(self.run_command(HYDRAJOB, self.CONFIG, "--list", "--machine", "a100-40gb", "--ranks", "8",
                                          "--only", "mode=noshared"), 0)
        self.assertEqual(self.output.count("device=cuda"), 27)
        self.assertNotIn("skipped", self.output)
        self.assertEqual(self.run_command(HYDRAJOB, self.CONFIG, "--list", "--machine", "a100-40gb", "--ranks", "8",
                                          "--set", "batch=1024", "--only", "mode=noshared"), 0)
        self.assertIn("skipped: needs", self.output)

    def test_a_wrong_name_is_answered_with_the_nearest(self):
        self.expect(self.run_command(HYDRAJOB, self.CONFIG, "--dry-run", "--machine", "h20"), 2,
                    "error: --machine: unknown machine 'h20': did you mean 'h200'?")

    def test_a_mistake_in_its_file_is_told_with_its_place(self):
        (self.folder / "m.yaml").write_text("origin: x\ndevice: cpu\nrank_per_node: 2\n")
        self.expect(self.run_command(HYDRAJOB, "small.yaml", "--dry-run", "--machine", "m.yaml"), 2,
                    "error: m.yaml:3:1: unknown key 'rank_per_node': did you mean 'ranks_per_node'?")


class LogFolder(CommandLine):
    def test_one_that_cannot_be_written_is_refused_by_all_ranks_at_once(self):
        (self.folder / "logs").write_text("in the way")
        self.expect(self.on_two_ranks("small.yaml", "--log-dir", "logs"), 2, "error: log folder logs cannot be written: ")
        self.assertFalse((self.folder / "results.h5").exists())

    def test_one_that_one_rank_alone_cannot_write_is_refused_too(self):
        (self.folder / "logs" / "rank1.log").mkdir(parents=True)
        self.expect(self.on_two_ranks("small.yaml", "--log-dir", "logs"), 2, "error: log folder logs cannot be written: ")

    def test_every_rank_says_what_it_did_and_when(self):
        self.assertEqual(self.on_two_ranks("small.yaml", "--log-dir", "logs", "--set", "tensor_parallel=2"), 0, self.output)
        for rank in (0, 1):
            text = (self.folder / "logs" / f"rank{rank}.log").read_text()
            self.assertIn(f" debug rank {rank} of 2: process ", text)
            self.assertIn(f" debug tensor_parallel 2: rank {rank} of group 0", text)
            for what in (r"attempt 1 in group 0: .*prefix=16.*", "prepared", "measured"):
                line = r"(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} debug run [0-9a-f]{8}: " + what + "$"
                self.assertEqual(len(re.findall(line, text)), 1 if "prefix" in what else 2, text)
        self.assertNotIn("prepared", self.output)


class Nodes(CommandLine):
    """Two folders stand for the files of two nodes."""

    def setUp(self):
        super().setUp()
        for node in ("n0", "n1"):
            (self.folder / node).mkdir()
            self.write(node, "small.yaml", CONFIG.replace("results.h5", f"{self.folder}/results.h5"))

    def write(self, node, name, text):
        (self.folder / node / name).write_text(text)

    def one_rank_on_each(self, *arguments):
        command = [MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none"]
        for node in ("n0", ":", "n1"):
            command += [":"] if node == ":" else ["-np", "1", "-wdir", str(self.folder / node), HYDRAJOB, *arguments]
        return self.run_command(*command)

    def test_the_same_files_are_accepted(self):
        self.assertEqual(self.one_rank_on_each("small.yaml"), 0, self.output)

    def test_another_configuration_is_refused_before_anything_is_measured(self):
        self.write("n1", "small.yaml", (self.folder / "n0/small.yaml").read_text().replace("f32", "[f32, bf16]"))
        self.expect(self.one_rank_on_each("small.yaml"), 2, "reads another configuration or store than rank 0 on ")
        self.assertFalse((self.folder / "results.h5").exists())

    def test_another_model_is_refused(self):
        model = (Path(SOURCE) / "configs/models/tiny.yaml").read_text()
        self.write("n0", "own.yaml", model)
        self.write("n1", "own.yaml", model.replace("n_layers: 4", "n_layers: 2"))
        for node in ("n0", "n1"):
            self.write(node, "model.yaml", f"name: a\nstore: {self.folder}/results.h5\nmodel: own.yaml\nbatch: 1\n"
                       "prefix: 16\nnew_tokens: 2\nmode: paged\n")
        self.expect(self.one_rank_on_each("model.yaml"), 2, "plans other runs than rank 0 on ")
        self.assertFalse((self.folder / "results.h5").exists())


class Output(CommandLine):
    """What cannot be written to standard output is an error, of every command that prints its result there."""

    def expect_noticed(self, *arguments):
        with self.subTest(arguments), open("/dev/full", "w", encoding="utf-8") as full:
            done = subprocess.run([HYDRAJOB, *arguments], cwd=self.folder, stdout=full, stderr=subprocess.PIPE, text=True,
                                  timeout=120, check=False)
            self.assertEqual((done.returncode, done.stderr.splitlines()[-1:]),
                             (3, ["error: standard output cannot be written: No space left on device"]))

    def test_of_a_sweep_that_is_only_shown(self):
        self.expect_noticed("small.yaml", "--list")
        self.expect_noticed("small.yaml", "--dry-run")
        self.expect_noticed("--help")
        self.expect_noticed("--version")

    def test_of_the_commands_on_a_store(self):
        self.assertEqual(self.run_command(HYDRAJOB, "small.yaml"), 0, self.output)
        self.assertEqual(self.run_command(HYDRAJOB, "store", "ls", "results.h5"), 0, self.output)
        run = self.output.splitlines()[1].split()[0]
        self.expect_noticed("store", "ls", "results.h5")
        self.expect_noticed("store", "show", "results.h5", run)
        self.expect_noticed("store", "export", "results.h5")
        self.expect_noticed("store", "export", "results.h5", "--format", "jsonl", "--samples")
        self.expect_noticed("store", "verify", "results.h5")
        self.expect_noticed("store", "--help")


class WrongFiles(CommandLine):
    def test_a_store_that_is_a_pipe_is_refused_and_leaves_nothing(self):
        os.mkfifo(self.folder / "pipe")
        for command in (["small.yaml", "--store", "pipe"], ["store", "ls", "pipe"], ["store", "verify", "pipe"],
                        ["store", "merge", "pipe", "-o", "new.h5"]):
            with self.subTest(command):
                self.expect(self.run_command(HYDRAJOB, *command), 3, "pipe: is a pipe, expected a file")
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["pipe", "small.yaml"])

    def test_a_model_file_replaces_files_only(self):
        os.mkfifo(self.folder / "pipe")
        model = str(Path(SOURCE) / "configs/models/tiny.yaml")
        self.expect(self.run_command(HYDRAJOB, "make-model", model, "-o", "pipe"), 2,
                    "error: pipe: is a pipe, expected a file")
        self.assertTrue((self.folder / "pipe").is_fifo())


class Skipped(CommandLine):
    def test_the_reasons_are_said_once_each_with_their_runs(self):
        for _ in range(2):  # also of those that the store knows
            code = self.run_command(HYDRAJOB, "small.yaml", "--set", "mode=[vllm,paged]", "--set", "n_kv_heads=2")
            self.expect(code, 0, "warning: 2 runs skipped: no such engine yet")

    def test_most_of_many_reasons(self):
        lengths = ",".join(str(2**26 * n) for n in range(16, 31))  # keys and values of 1.3 TiB and more
        self.assertEqual(self.run_command(HYDRAJOB, "small.yaml", "--set", f"prefix=[{lengths}]", "--set", "batch=16777216"), 0)
        self.assertEqual(self.output.count("warning: 1 run skipped: needs "), 10, self.output)
        self.assertEqual(self.output.count("warning: 5 more runs skipped, for 5 other reasons: "), 1, self.output)


class Threads(CommandLine):
    def test_too_many_are_refused_by_all_ranks_at_once(self):
        self.expect(self.on_two_ranks("small.yaml", "--threads", "100000"), 2, "error: --threads 100000: expected 1 to 1024")
        self.assertFalse((self.folder / "results.h5").exists())


class Help(CommandLine):
    """Every command answers --help, and the documentation has the options that it lists."""

    def options(self, *command):
        self.assertEqual(self.run_command(HYDRAJOB, *command), 0, self.output)
        return set(re.findall(r"--[a-z][a-z-]+", self.output))

    def page(self, name):
        return (Path(SOURCE) / "docs" / name).read_text()

    def test_a_sweeps(self):
        listed = self.options("--help") - {"--help", "--version"}
        rows = set(re.findall(r"(?m)^\| `(--[a-z-]+)", self.page("cli.md")))
        self.assertEqual(listed, rows)

    def test_the_other_commands(self):
        for command, page in (("make-model", "model-file.md"), ("store", "store.md"), ("supervise", "cli.md"), ("tokenize", "tokenizer.md")):
            with self.subTest(command):
                listed = self.options(command, "--help") - {"--help", "--output"}  # documented as -o
                self.assertEqual({option for option in listed if option not in self.page(page)}, set())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
