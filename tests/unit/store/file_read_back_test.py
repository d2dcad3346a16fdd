"""A store that the program wrote, as readers in Python see it.

  file_read_back_test.py [unittest options] PATH_OF_STORE_WRITER
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np
import pandas as pd

import hydrajob_analysis

WRITER = None
N_RUNS = 12
CONDITIONS = {"sm_clock_mhz": ("MHz", "<f8", np.nan), "throttle_reasons": ("1", "<i8", np.iinfo(np.int64).min),
              "power_w": ("W", "<f8", np.nan)}


class ReadBack(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.seed = random.randrange(2**31)
        print("seed", cls.seed)
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = os.path.join(cls.folder.name, "x.h5")
        records = os.path.join(cls.folder.name, "x.jsonl")
        subprocess.run([WRITER, cls.path, records, str(cls.seed), str(N_RUNS)], check=True)
        with open(records, encoding="utf-8") as file:
            cls.records = [json.loads(line) for line in file]

    def test_the_analysis_knows_the_digest_of_small_and_large_stores(self):
        """Of every number of stripes and of blocks behind the last whole one, as good as."""
        for n_runs in (1, 2, 5, 300):
            path = os.path.join(self.folder.name, f"{n_runs}.h5")
            subprocess.run([WRITER, path, os.devnull, str(self.seed), str(n_runs)], check=True)
            hydrajob_analysis.load(path)

    def test_the_analysis_refuses_a_damaged_store(self):
        path = os.path.join(self.folder.name, "damaged.h5")
        with open(self.path, "rb") as file:
            whole = file.read()
        for place in (0, len(whole) // 2, len(whole) - 33, len(whole) - 1):
            damaged = bytearray(whole)
            damaged[place] ^= 1
            with open(path, "wb") as file:
                file.write(damaged)
            with self.assertRaisesRegex(hydrajob_analysis.StoreError, "damaged.h5: damaged: its digest is [0-9a-f]{16}, expected "):
                hydrajob_analysis.load(path)

    def test_a_store_that_another_program_changed_is_read_unchecked(self):
        path = os.path.join(self.folder.name, "changed.h5")
        shutil.copy(self.path, path)
        with h5py.File(path, "r+") as file:
            file.attrs["note"] = "mine"
        self.assertEqual(len(hydrajob_analysis.load(path).runs), N_RUNS)

    def test_a_store_and_its_copy_are_one(self):
        path = os.path.join(self.folder.name, "copy.h5")
        shutil.copy(self.path, path)
        store = hydrajob_analysis.load([self.path, path])
        self.assertEqual(len(store.runs), N_RUNS)
        self.assertEqual(store.repeated, [f"{path}: the same store as {self.path}, taken once"])

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_h5py_sees_the_schema(self):
        with h5py.File(self.path) as file:
            self.assertEqual(file.attrs["format"], b"hydrajob-store")
            self.assertEqual(file.attrs["schema_version"], 1)
            self.assertEqual(set(file), {"runs", "samples", "configs", "environments"})
            datasets = []
            file.visititems(lambda _, item: datasets.append(item) if isinstance(item, h5py.Dataset) else None)
            for dataset in datasets:
                self.assertIn("units", dataset.attrs, dataset.name)
                self.assertIn("long_name", dataset.attrs, dataset.name)
                text = h5py.check_string_dtype(dataset.dtype)
                if text is not None:
                    self.assertEqual(text.encoding, "utf-8", dataset.name)
                    self.assertIsNotNone(text.length, dataset.name)
            self.assertTrue(h5py.h5ds.is_scale(file["runs/run"].id))
            for name, column in file["runs"].items():
                if name != "run":
                    self.assertEqual(column.dims[0][0], file["runs/run"], name)

    def test_h5py_sees_what_devices_told(self):
        with h5py.File(self.path) as file:
            for phase, group in file["samples"].items():
                all_series = [s for r in self.records for s in r["samples"] if s["phase"] == phase]
                for column, (unit, dtype, missing) in CONDITIONS.items():
                    told = [v for s in all_series for v in s.get(column, [None] * len(s["value"]))]
                    if all(value is None for value in told):
                        self.assertNotIn(column, group)
                        continue
                    dataset = group[column]
                    self.assertEqual((dataset.attrs["units"].decode(), dataset.dtype), (unit, np.dtype(dtype)))
                    if None in told:
                        np.testing.assert_array_equal(dataset.attrs["missing_value"], missing)
                    else:
                        self.assertNotIn("missing_value", dataset.attrs)
                    got = sorted(v for v in dataset[:] if not (v != v or v == missing))
                    self.assertEqual(got, sorted(v for v in told if v is not None))

    def test_pandas_gets_every_run_in_one_line(self):
        with h5py.File(self.path) as file:
            table = pd.DataFrame({name: column[:] for name, column in file["runs"].items()})
        self.assertEqual(list(table["run"]), list(range(N_RUNS)))
        self.assertEqual([i.decode() for i in table["run_id"]], [r["run_id"] for r in self.records])

    def test_the_analysis_gets_what_was_written(self):
        store = hydrajob_analysis.load(self.path)
        self.assertEqual(len(store.runs), N_RUNS)
        for (_, row), record in zip(store.runs.iterrows(), self.records):
            for name in ("run_id", "attempt", "status", "reason", "convergence", "experiment", "group", "first_rank"):
                self.assertEqual(row[name], record[name])
            self.expect_values(row, "param.", record["parameters"])
            self.expect_values(row, "", record["metrics"])

    def expect_values(self, row, prefix, expected):
        """The row's values under the prefix are these, and none more."""
        columns = [c for c in row.index if c.startswith("param.")] if prefix else [c for c in row.index if c[0] == "m"]
        for column in columns:
            name = column[len(prefix):]
            if name in expected:
                self.assertEqual(row[column], expected[name], column)
            else:
                self.assertTrue(pd.isna(row[column]), column)
        self.assertLessEqual({prefix + name for name in expected}, set(columns))

    def test_the_analysis_gets_every_sample(self):
        store = hydrajob_analysis.load(self.path)
        for run, record in enumerate(self.records):
            for series in record["samples"]:
                samples = store.samples
                mine = samples[(samples.run == run) & (samples.phase == series["phase"])
                               & (samples.warmup == series["warmup"])]
                for column in ("value", "rank", "iteration", "step"):
                    np.testing.assert_array_equal(mine[column], series[column])
                for column in CONDITIONS:
                    told = series.get(column, [None] * len(mine))
                    self.assertEqual([None if pd.isna(value) else value for value in mine[column]], told)
        self.assertEqual(len(store.samples), sum(len(s["value"]) for r in self.records for s in r["samples"]))
        self.assertEqual(set(store.samples.attrs["units"].values()), {"s"})

    def test_xarray_knows_that_the_columns_belong_together(self):
        try:
            import xarray
            import h5netcdf  # noqa: F401
        except ImportError as missing:
            self.skipTest(str(missing))
        runs = xarray.open_dataset(self.path, group="runs", engine="h5netcdf")
        self.assertEqual(dict(runs.sizes), {"run": N_RUNS})
        self.assertEqual(list(runs["attempt"].values), [r["attempt"] for r in self.records])
        self.assertEqual(runs["started_unix_s"].attrs["units"], "s")

    @unittest.skipUnless(shutil.which("h5dump"), "h5dump is not installed")
    def test_h5dump_prints_a_column(self):
        text = subprocess.run(["h5dump", "-d", "/runs/status", self.path], check=True, capture_output=True).stdout
        found = re.findall(rb'"([a-z_]+)(?:\\000)*"', text.split(b"ATTRIBUTE")[0])
        self.assertEqual([status.decode() for status in found], [r["status"] for r in self.records])


if __name__ == "__main__":
    WRITER = sys.argv.pop()
    unittest.main()
