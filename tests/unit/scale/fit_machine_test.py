"""configs/machines/h200.yaml has what bench/fit_machine.py finds; and what it finds is right where that is known.

usage: fit_machine_test.py SOURCE_FOLDER [unittest's options]
"""

import random
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py

SOURCE = Path(sys.argv.pop(1))
SCRIPT = SOURCE / "bench" / "fit_machine.py"
sys.path.insert(0, str(SCRIPT.parent))

import fit_machine  # noqa: E402


def efficiency_of(text):
    """The figures of the line that both have."""
    line = re.search(r"^efficiency: \{(.*)\}$", text, re.MULTILINE)[1]
    return {name: float(value) for name, value in (entry.split(": ") for entry in line.split(", "))}


class FitMachine(unittest.TestCase):
    def test_the_machine_has_what_is_found(self):
        stores = [SOURCE / "bench" / "results" / f"{name}-h200.h5" for name in ("e2e", "attention")]
        found = subprocess.run([sys.executable, SCRIPT, *stores], capture_output=True, text=True, check=True).stdout
        self.assertEqual(list(efficiency_of(found)), [p[0] for p in fit_machine.PARAMETERS + fit_machine.OPERATION])
        of_machine = efficiency_of((SOURCE / "configs" / "machines" / "h200.yaml").read_text())
        for name, value in efficiency_of(found).items():
            self.assertAlmostEqual(of_machine[name], value, delta=0.005 * value, msg=name)

    def test_what_was_put_in_is_found(self):
        cells = list(fit_machine.cells_of(SOURCE / "bench" / "results" / "e2e-h200.h5"))
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        put_in = (chance.uniform(0.6, 0.95), chance.uniform(0.3, 0.6), chance.uniform(0.7, 0.95),
                  chance.uniform(1e-5, 5e-5), chance.uniform(1e-5, 5e-5))
        for cell in cells:
            cell.seconds = cell.predict(put_in)
        for parameter, expected, found in zip(fit_machine.PARAMETERS, put_in, fit_machine.fit(cells)):
            self.assertAlmostEqual(found, expected, delta=1e-3 * expected, msg=f"{parameter[0]}, seed {seed}")

    def test_what_was_put_into_operations_is_found(self):
        cells = list(fit_machine.operations_of(SOURCE / "bench" / "results" / "attention-h200.h5"))
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        put_in = (chance.uniform(0.3, 0.9), chance.uniform(5e-6, 3e-5))
        for cell in cells:
            cell.seconds = cell.predict(put_in)
        for parameter, expected, found in zip(fit_machine.OPERATION, put_in, fit_machine.fit(cells, fit_machine.OPERATION)):
            self.assertAlmostEqual(found, expected, delta=1e-3 * expected, msg=f"{parameter[0]}, seed {seed}")

    def test_a_store_of_another_roofline_is_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "other.h5"
            path.write_bytes((SOURCE / "bench" / "results" / "e2e-h200.h5").read_bytes())
            with h5py.File(path, "r+") as file:
                file["runs/roofline.decode_step_s"][...] *= 1.01
            done = subprocess.run([sys.executable, SCRIPT, path], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("the roofline is", done.stderr)


if __name__ == "__main__":
    unittest.main()
