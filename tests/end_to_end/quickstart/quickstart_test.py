"""scripts/quickstart as a newcomer runs it, in a copy of the tree with this build's program; then a second time.

usage: quickstart_test.py SOURCE_FOLDER BUILD_FOLDER [unittest's options]
"""

import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py

SOURCE, BUILD = Path(sys.argv[1]), Path(sys.argv[2])


class Quickstart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        for name in ("scripts", "configs", "analysis"):
            shutil.copytree(SOURCE / name, cls.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        (cls.folder / "build").mkdir()
        (cls.folder / "build/cpu").symlink_to(BUILD)
        shutil.copy(SOURCE / "CMakePresets.json", cls.folder)
        cls.first = cls.run_quickstart()
        cls.runs_after_first = cls.read_runs()
        cls.second = cls.run_quickstart()

    @classmethod
    def run_quickstart(cls):
        return subprocess.run([cls.folder / "scripts/quickstart", "--no-install"], cwd="/", capture_output=True,
                              text=True, check=False)

    @classmethod
    def read_runs(cls):
        with h5py.File(cls.folder / "results/quickstart.h5") as file:
            runs = file["runs"]
            return list(zip(runs["run_id"].asstr()[...], runs["status"].asstr()[...], runs["attempt"][...],
                            runs["finished_unix_s"][...]))

    def test_every_run_succeeds(self):
        self.assertEqual(self.first.returncode, 0, self.first.stdout + self.first.stderr)
        self.assertEqual({status for _, status, _, _ in self.runs_after_first}, {"ok"})

    def test_prints_the_table_and_where_the_report_is(self):
        self.assertIn("decode throughput, tokens/s", self.first.stdout)
        self.assertIn("× noshared", self.first.stdout)
        report = self.folder / "results/quickstart-report/report.html"
        self.assertTrue(report.exists())
        self.assertIn(f"file://{report}", self.first.stdout)

    def test_second_time_repeats_nothing(self):
        self.assertEqual(self.second.returncode, 0, self.second.stdout + self.second.stderr)
        self.assertIn("results/tiny.h5 is there", self.second.stdout)
        self.assertEqual(self.read_runs(), self.runs_after_first)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
