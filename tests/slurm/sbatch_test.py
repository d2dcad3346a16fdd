"""slurm/hydrajob.sbatch without Slurm: its commands, and the program, are replaced by scripts.

usage: sbatch_test.py SOURCE_FOLDER [unittest's options]
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(sys.argv[1]) / "slurm/hydrajob.sbatch"


class Sbatch(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.tool("squeue", "exit 1")
        self.tool("scontrol", f'echo "$*" >> {self.folder}/scontrol.log')
        self.program('echo "$*"')
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith(("SLURM_", "HJ_"))},
                            "PATH": f"{self.folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7",
                            "HJ_PROGRAM": str(self.folder / "program")}

    def tool(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)

    def program(self, body):
        self.tool("program", body)

    def start(self, **variables):
        return subprocess.Popen(["bash", SCRIPT, "a.yaml"], env={**self.environment, **variables}, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def run_script(self, **variables):
        job = self.start(**variables)
        self.output, _ = job.communicate(timeout=60)
        return job.returncode

    def requeued(self):
        log = self.folder / "scontrol.log"
        return log.exists() and log.read_text() == "requeue 7\n"

    def test_ranks_are_as_many_as_tasks(self):
        for variables, ranks in (({"SLURM_NTASKS": "8", "SLURM_JOB_NUM_NODES": "2"}, 8),
                                 ({"SLURM_JOB_NUM_NODES": "3"}, 3),
                                 ({"SLURM_JOB_NUM_NODES": "3", "SLURM_NTASKS_PER_NODE": "4"}, 12), ({}, 1)):
            with self.subTest(variables):
                self.assertEqual(self.run_script(**variables), 0, self.output)
                self.assertIn(f"\nsupervise -- mpirun -np {ranks} {self.folder}/program a.yaml\n", self.output)

    def test_the_end_is_asked_for_and_unknown_where_nobody_says(self):
        self.program('echo "end ${SLURM_JOB_END_TIME-unknown}"')
        for answer, end in (("exit 1", "unknown"), ("echo N/A", "unknown"), ("echo", "unknown"),
                            ("echo 2038-01-19T03:14:07", "2147483647")):
            with self.subTest(answer):
                self.tool("squeue", answer)
                self.run_script(TZ="UTC")
                self.assertIn(f"\nend {end}\n", self.output)

    def test_the_programs_code_is_the_jobs(self):
        for code in (0, 1, 2, 137):
            self.program(f"exit {code}")
            self.assertEqual(self.run_script(), code)
            self.assertFalse(self.requeued())

    def test_an_interrupted_job_queues_itself_again_so_often(self):
        self.program("exit 75")
        self.assertEqual(self.run_script(SLURM_RESTART_COUNT="2", HJ_MAX_REQUEUES="2"), 75)
        self.assertFalse(self.requeued())
        self.assertEqual(self.run_script(SLURM_RESTART_COUNT="1", HJ_MAX_REQUEUES="2"), 75)
        self.assertTrue(self.requeued())

    def test_the_code_survives_a_signal_that_comes_with_the_end(self):
        self.program("trap '' USR2; kill -USR2 $PPID; exit 75")
        for _ in range(6):
            (self.folder / "scontrol.log").unlink(missing_ok=True)
            self.assertEqual(self.run_script(), 75, self.output)
            self.assertTrue(self.requeued(), self.output)

    def test_a_warning_before_the_ranks_can_heed_it_is_one_too(self):
        self.program("kill -USR2 $PPID; sleep 10")
        self.assertEqual(self.run_script(), 75, self.output)
        self.assertTrue(self.requeued(), self.output)

    def test_a_cancelled_job_is_not_queued_again(self):
        self.program(f"trap 'exit 75' TERM; touch {self.folder}/started; while :; do sleep 0.02; done")
        job = self.start()
        while not (self.folder / "started").exists():
            time.sleep(0.02)
        job.send_signal(signal.SIGTERM)
        output, _ = job.communicate(timeout=60)
        self.assertEqual(job.returncode, 75, output)
        self.assertFalse(self.requeued())

    def test_a_signal_before_the_supervisor_is_there_reaches_it(self):
        self.program("sleep 10")
        early = self.folder / "early.sbatch"
        early.write_text(SCRIPT.read_text().replace("restarts=${", "kill -TERM $$\nrestarts=${"))
        began = time.monotonic()
        done = subprocess.run(["bash", early, "a.yaml"], env=self.environment, capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (128 + signal.SIGTERM, ""), done.stdout)
        self.assertLess(time.monotonic() - began, 5)
        self.assertFalse(self.requeued())


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[2:]])
