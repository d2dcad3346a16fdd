"""load(): what the file holds arrives in the DataFrames, and a file that is no store is refused by name and reason."""

import os
import unittest

import h5py
import numpy as np
import pandas as pd
from store_fixture import StoreTest, attention_run, generate_run, samples_of, write_store

from hydrajob_analysis import StoreError, load


class Load(StoreTest):
    def test_columns_types_and_missing_values(self):
        path = self.store([generate_run("hydragen", 4, 128, 0.5, 0.01),
                           attention_run("noshared", 8, 256, 16, status="failed", reason="nächster Versuch")])

        runs = load(path).runs

        self.assertEqual(list(runs["param.batch"]), [4, 8])
        self.assertEqual(runs["param.batch"].dtype, np.int64)
        self.assertEqual(runs["param.new_tokens"][0], 10)
        self.assertIs(runs["param.new_tokens"][1], pd.NA)
        self.assertEqual(runs["param.model"][0], "tiny")
        self.assertIsNone(runs["param.model"][1])
        self.assertEqual(runs["decode_step.median"][0], 0.5 / 9)
        self.assertTrue(np.isnan(runs["decode_step.median"][1]))
        self.assertEqual(runs["reason"][0], "")
        self.assertEqual(runs["reason"][1], "nächster Versuch")
        self.assertEqual(runs["store"][0], str(path))

    def test_units_and_long_names_come_from_the_file(self):
        runs = load(self.store([generate_run("hydragen", 4, 128, 0.5)])).runs

        self.assertEqual(runs.attrs["units"]["decode_step.median"], "s")
        self.assertEqual(runs.attrs["units"]["decode_tokens_per_s"], "1/s")
        self.assertEqual(runs.attrs["long_name"]["param.batch"], "what param.batch is")

    def test_samples_are_joined_with_their_runs(self):
        runs = [generate_run("hydragen", 4, 128, 0.5), generate_run("noshared", 4, 128, 0.9)]
        path = self.store(runs, samples=samples_of(1, "decode_step", [0.1, 0.2], ranks=2) +
                          samples_of(0, "prefill", [0.3], warmup=True))

        samples = load(path).samples

        self.assertEqual(samples.attrs["units"], {"decode_step": "s", "prefill": "s"})
        steps = samples[samples["phase"] == "decode_step"]
        self.assertEqual(list(steps["value"]), [0.1, 0.2, 0.2, 0.4])
        self.assertEqual(list(steps["rank"]), [0, 0, 1, 1])
        self.assertEqual(set(steps["run_id"]), {f"{1:032x}"})
        self.assertEqual(list(samples.loc[samples["phase"] == "prefill", "warmup"]), [True])

    def test_samples_have_what_their_devices_told(self):
        runs = [generate_run("hydragen", 4, 128, 0.5), generate_run("noshared", 4, 128, 0.9)]
        told = samples_of(1, "decode_step", [0.1, 0.2], sm_clock_mhz=[1755.0, 1980.0], throttle_reasons=[4, None])
        path = self.store(runs, samples=told + samples_of(0, "decode_step", [0.3]) + samples_of(0, "prefill", [0.4]))

        store = load(path)
        samples = store.samples.sort_values("value")

        self.assertTrue(store.tells_conditions)
        np.testing.assert_array_equal(samples["sm_clock_mhz"], [1755, 1980, np.nan, np.nan])
        self.assertEqual(list(samples["throttle_reasons"]), [4, pd.NA, pd.NA, pd.NA])
        self.assertEqual(samples["throttle_reasons"].dtype, "Int64")
        self.assertTrue(samples["power_w"].isna().all())

    def test_samples_of_devices_that_do_not_tell(self):
        store = load(self.store([generate_run("hydragen", 4, 128, 0.5)], samples=samples_of(0, "decode_step", [0.1])))

        self.assertFalse(store.tells_conditions)
        self.assertEqual(store.samples["throttle_reasons"].dtype, "Int64")
        self.assertTrue(store.samples[["sm_clock_mhz", "throttle_reasons", "power_w"]].isna().all(axis=None))

    def test_a_store_that_tells_and_one_that_does_not(self):
        runs = [generate_run("hydragen", 4, 128, 0.5)]
        told = samples_of(0, "decode_step", [0.1], sm_clock_mhz=[1755.0], throttle_reasons=[0], power_w=[612.5])
        paths = [self.store(runs, "a.h5", samples=samples_of(0, "decode_step", [0.2])),
                 self.store(runs, "b.h5", samples=told)]

        samples = load(paths).samples

        np.testing.assert_array_equal(samples["power_w"], [np.nan, 612.5])
        self.assertEqual(list(samples["throttle_reasons"]), [pd.NA, 0])

    def test_conditions_of_another_type_are_refused(self):
        path = self.store([generate_run("hydragen", 4, 128, 0.5)],
                          samples=samples_of(0, "decode_step", [0.1], throttle_reasons=[0.5]))

        with self.assertRaisesRegex(StoreError, "/samples/decode_step/throttle_reasons holds another type, expected int"):
            load(path).samples

    def test_several_stores_keep_their_runs_texts_and_samples_apart(self):
        first = self.store([generate_run("hydragen", 4, 128, 0.5)], "a.h5", configs=("a",),
                           samples=samples_of(0, "decode_step", [0.1]))
        second = self.store([generate_run("hydragen", 4, 128, 0.5), attention_run("hydragen", 8, 64, 0, 1e-3)], "b.h5",
                            configs=("b",), environments=({"host": "node2"},),
                            samples=samples_of(1, "attention", [0.7]))

        store = load([first, second])

        self.assertEqual(list(store.runs["run"]), [0, 1, 2])
        self.assertEqual(list(store.configs.loc[store.runs["config"], "text"]), ["a", "b", "b"])
        self.assertEqual(list(store.environments.loc[store.runs["environment"], "env.host"]), ["node1", "node2", "node2"])
        self.assertEqual(list(store.runs["param.n_heads"].dropna()), [32])
        self.assertEqual(list(store.samples["run"]), [0, 2])
        self.assertEqual(list(store.samples["store"]), [str(first), str(second)])

    def test_a_store_named_twice_is_read_once(self):
        first = self.store([generate_run("hydragen", 4, 128, 0.5)], "a.h5")
        second = self.store([generate_run("hydragen", 4, 128, 0.5)], "b.h5")  # no copy: measured again
        link = self.folder / "link.h5"
        link.symlink_to(first)

        store = load([first, second, first, link])

        self.assertEqual(list(store.runs["store"]), [str(first), str(second)])
        self.assertEqual(store.repeated, [f"{path}: the same store as {first}, taken once" for path in (first, link)])

    def test_environment_objects_are_flattened(self):
        path = self.store([generate_run("hydragen", 4, 128, 0.5)],
                          environments=({"cpu": {"model": "x", "flags": ["avx2"]}, "store": "y",
                                         "ranks": [{"host": "n1"}, {"host": "n2", "gpu": 1}]},))

        environment = load(path).environments.loc[0]

        self.assertEqual(environment["env.cpu.model"], "x")
        self.assertEqual(environment["env.cpu.flags"], ["avx2"])
        self.assertEqual(environment["env.ranks.host"], ["n1", "n2"])
        self.assertEqual(environment["env.ranks.gpu"], [None, 1])
        self.assertEqual(environment["env.store"], "y")
        self.assertEqual(environment["store"], str(path))

    def test_store_without_runs(self):
        store = load(self.store([], configs=(), environments=()))

        self.assertEqual(len(store.runs), 0)
        self.assertEqual(len(store.samples), 0)


class Refused(StoreTest):
    def refusal(self, path):
        with self.assertRaises(StoreError) as caught:
            load(path).samples
        self.assertIn(str(path), str(caught.exception))
        return str(caught.exception)

    def test_no_such_file(self):
        self.assertIn("no such file", self.refusal(self.folder / "absent.h5"))

    def test_a_sweep_that_was_interrupted_before_the_file_was_built(self):
        segments = self.folder / "store.h5.d/segments"
        segments.mkdir(parents=True)
        for name in ("a-1.json", "b-1.json"):
            (segments / name).touch()
        self.assertIn("2 finished runs wait in", self.refusal(self.folder / "store.h5"))

    def test_what_is_no_file(self):
        path = self.folder / "pipe.h5"
        os.mkfifo(path)
        self.assertIn("is no regular file, expected a store", self.refusal(path))

    def test_not_hdf5(self):
        path = self.folder / "text.h5"
        path.write_text("mode,batch\n")
        self.assertIn("not a readable HDF5 file", self.refusal(path))

    def test_foreign_hdf5(self):
        path = self.store([], file_format="hydrajob-model")
        self.assertIn("format is 'hydrajob-model', expected 'hydrajob-store'", self.refusal(path))

    def test_newer_schema(self):
        self.assertIn("schema_version is 2, this package reads 1", self.refusal(self.store([], version=2)))

    def changed(self, change):
        path = self.store([generate_run("hydragen", 4, 128, 0.5)], samples=samples_of(0, "decode_step", [0.1]))
        with h5py.File(path, "r+") as file:
            change(file)
        return self.refusal(path)

    def test_missing_column(self):
        def change(file):
            del file["runs/status"]
        self.assertIn("/runs has no column status", self.changed(change))

    def test_missing_unit(self):
        def change(file):
            del file["runs/decode_step.median"].attrs["units"]
        self.assertIn("/runs/decode_step.median has no attribute 'units'", self.changed(change))

    def test_columns_of_different_length(self):
        def change(file):
            del file["samples/decode_step/rank"]
            file["samples/decode_step/rank"] = np.zeros(7, dtype=np.int64)
        self.assertIn("/samples/decode_step/rank has shape (7,), expected (1,)", self.changed(change))

    def test_unknown_status(self):
        def change(file):
            file["runs/status"][0] = b"?"
        self.assertIn("/runs/status: '?', expected one of ok, failed", self.changed(change))

    def test_index_outside(self):
        def change(file):
            file["samples/decode_step/run"][0] = 1
        self.assertIn("/samples/decode_step/run points outside /runs (0..0)", self.changed(change))

    def test_environment_that_is_not_json(self):
        def change(file):
            file["environments/text"][0] = b"host"
        self.assertIn("/environments/text[0] is not JSON", self.changed(change))

    def test_stores_that_disagree_on_a_unit(self):
        first = self.store([generate_run("hydragen", 4, 128, 0.5)], "a.h5")
        second = self.store([generate_run("hydragen", 4, 128, 0.5)], "b.h5")
        with h5py.File(second, "r+") as file:
            file["runs/decode.median"].attrs["units"] = "ms"
        with self.assertRaisesRegex(StoreError, "b.h5: /runs/decode.median is in 'ms', in another store in 's'"):
            load([first, second])


if __name__ == "__main__":
    unittest.main()
