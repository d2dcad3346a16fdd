"""Speed-ups, fractions and their intervals, against numbers worked out by hand."""

import unittest

import numpy as np
from store_fixture import StoreTest, attention_run, generate_run, needles_run

from hydrajob_analysis import StoreError, load
from hydrajob_analysis.cells import make_sections
from hydrajob_analysis.summaries import grid_tables, result_table, unmeasured_table


class Cells(StoreTest):
    def sections(self, runs):
        return make_sections(load(self.store(runs)).runs)

    def cell(self, section, mode, **place):
        cells = section.cells[section.cells["mode"] == mode]
        for axis, value in place.items():
            cells = cells[cells[axis] == value]
        self.assertEqual(len(cells), 1, (mode, place))
        return cells.iloc[0]

    def test_throughput_and_its_interval(self):
        # 4 × 9 tokens in 0.5 s; an interval of ±20 % of the time is 36/0.6 to 36/0.4.
        (section,) = self.sections([generate_run("hydragen", 4, 128, 0.5, 0.2)])

        cell = self.cell(section, "hydragen")

        np.testing.assert_allclose([cell["value"], cell["lo"], cell["hi"]], [72, 60, 90])
        self.assertEqual(cell["n"], 10)
        self.assertAlmostEqual(cell["step_s"], 0.5 / 9)

    def test_speedup_and_fraction_by_batch_and_prefix(self):
        (section,) = self.sections([
            generate_run("noattention", 4, 128, 0.4, 0.1), generate_run("hydragen", 4, 128, 0.5, 0.2),
            generate_run("noshared", 4, 128, 1.0, 0.1), generate_run("hydragen", 8, 128, 0.6),
            generate_run("noshared", 8, 128, 3.0)])

        cell = self.cell(section, "hydragen", batch=4)

        np.testing.assert_allclose(cell[["speedup", "fraction"]].astype(float), [2.0, 0.8])
        # Times: hydragen 0.4–0.6, noshared 0.9–1.1, noattention 0.36–0.44.
        np.testing.assert_allclose(cell[["speedup_lo", "speedup_hi"]].astype(float), [0.9 / 0.6, 1.1 / 0.4])
        np.testing.assert_allclose(cell[["fraction_lo", "fraction_hi"]].astype(float), [0.36 / 0.6, 0.44 / 0.4])
        other = self.cell(section, "hydragen", batch=8)
        self.assertAlmostEqual(other["speedup"], 5.0)
        self.assertTrue(np.isnan(other["speedup_lo"]))
        self.assertTrue(np.isnan(other["fraction"]))

    def test_noattention_at_one_prefix_stands_for_all_unless_one_matches(self):
        (section,) = self.sections([
            generate_run("noattention", 4, 128, 0.4), generate_run("noattention", 4, 1024, 0.2),
            generate_run("hydragen", 4, 128, 0.5), generate_run("hydragen", 4, 512, 0.5),
            generate_run("hydragen", 4, 1024, 0.5), generate_run("hydragen", 4, 4096, 0.5)])

        fractions = [self.cell(section, "hydragen", prefix=prefix)["fraction"] for prefix in (128, 512, 1024, 4096)]
        stand_ins = [self.cell(section, "hydragen", prefix=prefix)["ceiling_prefix"] for prefix in (128, 512, 1024, 4096)]

        np.testing.assert_allclose(fractions, [0.8, 0.8, 0.4, 0.4])
        self.assertEqual(stand_ins, [None, 128, None, 1024])

    def test_baseline_is_that_of_the_same_tree_and_setting(self):
        sections = self.sections([
            generate_run("hydragen", 4, 128, 0.5), generate_run("noshared", 4, 128, 1.0, **{"param.tree": "1x64/4x64"}),
            generate_run("noshared", 4, 128, 2.0, **{"param.dtype": "bf16"})])

        self.assertEqual([section.setting["dtype"] for section in sections], ["f32", "bf16"])
        self.assertEqual(sections[0].differs, ("dtype",))
        self.assertTrue(np.isnan(self.cell(sections[0], "hydragen")["speedup"]))

    def test_trees_of_the_same_length_are_cells_of_their_own(self):
        tree = {"param.tree": "1x64/4x64"}
        (section,) = self.sections([
            generate_run("hydragen", 4, 128, 0.5, **{"param.tree": None}), generate_run("hydragen", 4, 128, 0.25, **tree),
            generate_run("noshared", 4, 128, 1.0, **tree)])

        self.assertTrue(section.varies("tree"))
        self.assertAlmostEqual(self.cell(section, "hydragen", tree="1x64/4x64")["speedup"], 4.0)
        table = grid_tables(section)[0]
        self.assertEqual(table.columns, ["batch", "tree", "mode", "prefix 128"])
        self.assertEqual(table.rows, [["4", "–", "hydragen", "72.00"], ["4", "1x64/4x64", "hydragen", "144.0"],
                                      ["4", "1x64/4x64", "noshared", "36.00"]])

    def test_effort_may_differ_between_compared_runs(self):
        (section,) = self.sections([
            generate_run("hydragen", 4, 128, 0.5, **{"param.iterations": 10, "param.warmup": 10}),
            generate_run("noshared", 4, 128, 1.0, **{"param.iterations": 3, "param.warmup": 3})])

        self.assertAlmostEqual(self.cell(section, "hydragen")["speedup"], 2.0)

    def test_runs_of_different_machines_are_not_compared(self):
        def ranks(model, threads, host):
            return {"ranks": [{"host": host, "threads": threads, "device": {"name": "cpu", "cpu_model": model}}] * 2}
        machines = (ranks("old", 2, "n1"), ranks("old", 2, "n2"), ranks("new", 2, "n3"), ranks("new", 4, "n3"))
        runs = [generate_run("hydragen", 4, 128, 0.5, environment=1), generate_run("noshared", 4, 128, 1.0, environment=0),
                generate_run("noshared", 4, 128, 3.0, environment=2), generate_run("noshared", 4, 128, 5.0, environment=3)]
        sections = make_sections(load(self.store(runs, environments=machines)).runs)

        self.assertEqual([section.setting["machine"] for section in sections],
                         ["old, 2 threads a rank", "new, 2 threads a rank", "new, 4 threads a rank"])
        self.assertAlmostEqual(self.cell(sections[0], "hydragen")["speedup"], 2.0)  # hosts of one kind
        self.assertIn("old, 2 threads a rank", sections[0].title())

    def test_attention_is_compared_by_suffix_in_microseconds(self):
        (section,) = self.sections([
            attention_run("hydragen", 64, 4096, 0, 100e-6, 0.1), attention_run("noshared", 64, 4096, 0, 600e-6, 0.1),
            attention_run("hydragen", 64, 4096, 16, 200e-6), attention_run("noshared", 64, 4096, 16, 800e-6)])

        cell = self.cell(section, "hydragen", suffix=0)

        np.testing.assert_allclose(cell[["value", "lo", "hi", "speedup"]].astype(float), [100, 90, 110, 6])
        np.testing.assert_allclose(cell[["speedup_lo", "speedup_hi"]].astype(float), [540 / 110, 660 / 90])
        self.assertAlmostEqual(self.cell(section, "hydragen", suffix=16)["speedup"], 4.0)

    def test_needles_are_compared_by_their_questions(self):
        (section,) = self.sections([
            needles_run("noattention", 8, 512, 0.1), needles_run("hydragen", 8, 512, 0.2, 0.1, accuracy=0.75),
            needles_run("noshared", 8, 512, 0.8), needles_run("hydragen", 16, 512, 0.25, accuracy=1.0),
            needles_run("noshared", 16, 512, status="skipped", reason="too large")])

        cell = self.cell(section, "hydragen", batch=8)

        np.testing.assert_allclose(cell[["value", "lo", "hi"]].astype(float), [200, 180, 220])
        np.testing.assert_allclose(cell[["speedup", "fraction", "accuracy"]].astype(float), [4, 0.5, 0.75])
        table = result_table(section)
        self.assertEqual(table.columns[:4], ["questions", "prefix", "mode", "ms"])
        row = dict(zip(table.columns, next(row for row in table.rows if row[0] == "16" and row[2] == "hydragen")))
        self.assertEqual((row["ms"], row["accuracy"], row["decode step"]), ("250.0", "100.0 %", "20.83 ms"))
        self.assertNotIn("param.questions", section.setting)

    def test_needles_beside_others(self):
        runs = load(self.store([needles_run("hydragen", 8, 512, 0.2, accuracy=0.5),
                                generate_run("hydragen", 4, 128, 0.5),
                                needles_run("noshared", 16, 512, status="failed", reason="why")])).runs

        needles, generate = make_sections(runs)

        self.assertEqual([cell["batch"] for cell in needles.cells.to_dict("records")], [8, 16])
        self.assertEqual([cell["batch"] for cell in generate.cells.to_dict("records")], [4])
        self.assertNotIn("accuracy", result_table(generate).columns)
        self.assertEqual(unmeasured_table(runs).rows, [["failed", "noshared", "1", "16/512", "why"]])

    def test_cells_without_a_result_stay_and_are_no_baseline(self):
        (section,) = self.sections([
            generate_run("hydragen", 4, 128, 0.5),
            generate_run("noshared", 4, 128, 1.0, status="timed_out", reason="over 60 s"),
            generate_run("paged", 4, 128, status="skipped", reason="needs 212 GiB, has 139 GiB")])

        self.assertEqual(list(section.cells["mode"]), ["hydragen", "paged", "noshared"])
        self.assertEqual(list(section.cells["status"]), ["ok", "skipped", "timed_out"])
        self.assertEqual(list(section.measured()["mode"]), ["hydragen"])
        self.assertTrue(np.isnan(self.cell(section, "hydragen")["speedup"]))

    def test_the_latest_measurement_of_a_cell_counts(self):
        (section,) = self.sections([
            generate_run("hydragen", 4, 128, 0.5, finished_unix_s=300.0),
            generate_run("hydragen", 4, 128, 0.9, finished_unix_s=100.0)])

        self.assertAlmostEqual(self.cell(section, "hydragen")["value"], 72)
        self.assertEqual(section.superseded, 1)

    def test_order_of_modes_puts_the_ceiling_first_and_unknown_ones_last(self):
        (section,) = self.sections([generate_run(mode, 4, 128, 0.5)
                                    for mode in ("zeta", "noshared", "hydragen", "vllm", "noattention")])

        self.assertEqual(section.modes(), ["noattention", "hydragen", "noshared", "vllm", "zeta"])

    def test_parameters_that_every_store_has(self):
        runs = load(self.store([generate_run("hydragen", 4, 128, 0.5)])).runs.drop(columns="param.mode")
        with self.assertRaisesRegex(StoreError, "/runs has no column param.mode"):
            make_sections(runs)


if __name__ == "__main__":
    unittest.main()
