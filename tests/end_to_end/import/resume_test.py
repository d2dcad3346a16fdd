"""hydrajob import, killed: the same command goes on to the same bytes; and what it shows of its progress."""

import os
import pty
import random
import re
import signal
import subprocess
import time

from checkpoint import CONFIG, random_tensors, save
from importing import HYDRAJOB, SEED, ImportTest, main

# 40 MB: several commits of the part that is written.
LARGE = CONFIG | {"hidden_size": 512, "num_attention_heads": 8, "num_key_value_heads": 8, "intermediate_size": 2048,
                  "vocab_size": 1000}
KILLS = 6


def noted(journal):
    try:
        return journal.read_bytes()
    except FileNotFoundError:
        return b""


class Resume(ImportTest):
    def setUp(self):
        super().setUp()
        save(self.folder / "tiny", LARGE, random_tensors(LARGE, "F32", self.rng))
        self.command = [HYDRAJOB, "import", "tiny", "-o", "out/model.h5"]

    def expect_alone(self):
        self.assertEqual([path.name for path in self.model.parent.iterdir()], ["model.h5"])

    def unbroken(self):
        """The file as one process writes it, and how long that takes."""
        begin = time.monotonic()
        self.assertEqual(self.run_import(), 0, self.output)
        seconds = time.monotonic() - begin
        self.expect_alone()
        content = self.model.read_bytes()
        self.model.unlink()
        return content, seconds

    def killed_after(self, seconds):
        process = subprocess.Popen(self.command, cwd=self.folder, stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        process.kill()
        process.communicate()

    def caught(self, sign, interrupt):
        """A process that `interrupt` met while `sign` stood in the journal. One may end before: then another."""
        journal = self.model.parent / "model.h5.partial.journal"
        for _ in range(50):
            process = subprocess.Popen(self.command, cwd=self.folder, stderr=subprocess.DEVNULL)
            while process.poll() is None and sign not in noted(journal):
                time.sleep(0.001)
            process.send_signal(interrupt)
            time.sleep(0.01)
            if journal.exists():
                return process
            process.wait()
        self.fail("every one had ended before")

    def partly_written(self):
        """Killed once something is committed."""
        self.assertEqual(self.caught(b"\ntensor", signal.SIGKILL).wait(), -signal.SIGKILL)

    def test_killed_at_random_moments(self):
        expected, seconds = self.unbroken()
        dice = random.Random(SEED)
        for _ in range(KILLS):
            for _ in range(dice.randrange(1, 4)):  # not the last time either
                self.killed_after(dice.uniform(0, seconds))
            self.assertEqual(self.run_import(), 0, f"seed {SEED}: {self.output}")
            self.assertEqual(self.model.read_bytes(), expected, f"seed {SEED}")
            self.expect_alone()
            self.model.unlink()

    def test_says_that_it_goes_on(self):
        expected, _ = self.unbroken()
        self.partly_written()
        self.assertFalse(self.model.exists())
        self.assertEqual(self.run_import(), 0, self.output)
        written = re.search(r"out/model.h5: ([\d.]+ [KM]iB) of 35.9 MiB are written, goes on from there", self.output)
        self.assertTrue(written, self.output)
        self.assertEqual(self.model.read_bytes(), expected)

    def test_another_source_begins_again(self):
        self.unbroken()
        for change in (lambda: os.utime(self.folder / "tiny" / "model.safetensors"),
                       lambda: (self.folder / "tiny" / "generation_config.json").write_text('{"eos_token_id": [3, 4]}'),
                       lambda: save(self.folder / "tiny", LARGE, random_tensors(LARGE, "F32", self.rng))):
            self.partly_written()
            change()
            self.assertEqual(self.run_import(), 0, self.output)
            self.assertIn("is of another source or other options, or was changed: begins again", self.output)
            continued = self.model.read_bytes()
            self.assertEqual(self.run_import(), 0, self.output)
            self.assertEqual(self.model.read_bytes(), continued)

    def test_two_at_once(self):
        process = self.caught(b"begun", signal.SIGSTOP)
        self.assertEqual(self.run_import(), 2, self.output)
        self.assertIn("out/model.h5: another process is writing it", self.output)
        process.send_signal(signal.SIGCONT)
        self.assertEqual(process.wait(), 0)
        self.expect_alone()


class Progress(ImportTest):
    def test_on_a_terminal_one_line_is_rewritten(self):
        save(self.folder / "tiny", LARGE, random_tensors(LARGE, "F32", self.rng))
        terminal, end = pty.openpty()
        process = subprocess.Popen([HYDRAJOB, "import", "tiny", "-o", "out/model.h5"], cwd=self.folder, stderr=end,
                                   env={**os.environ, "TERM": "xterm"})
        os.close(end)
        shown = b""
        while True:
            try:
                part = os.read(terminal, 4096)
            except OSError:  # the other end is closed
                break
            shown += part
            if not part:
                break
        self.assertEqual(process.wait(), 0)
        text = shown.decode()
        self.assertRegex(text, r"\r\x1b\[Kout/model.h5: [\d.]+ [KM]iB of 35.9 MiB")
        self.assertRegex(text, r"\r\x1b\[Kout/model.h5: tiny f32 from tiny, ", "the last line begins where progress was")

    def test_elsewhere_a_short_one_is_silent(self):
        save(self.folder / "tiny", CONFIG, random_tensors(CONFIG, "F32", self.rng))
        self.assertEqual(self.run_import(), 0, self.output)
        self.assertEqual(len(self.output.splitlines()), 2, self.output)
        self.assertNotIn("\r", self.output)


if __name__ == "__main__":
    main()
