"""The plots, as the objects that are drawn: which points, which samples, which scale."""

import unittest

import numpy as np
from store_fixture import StoreTest, attention_run, generate_run, needles_run, samples_of

from hydrajob_analysis import load
from hydrajob_analysis.cells import make_sections
from hydrajob_analysis.figures import section_plots


class Figures(StoreTest):
    def plots(self, runs, samples=()):
        store = load(self.store(runs, samples=samples))
        return {plot.name: plot for section in make_sections(store.runs)
                for plot in section_plots(section, store.samples)}

    def texts(self, plot):
        return [text.get_text() for axis in plot.figure.axes for text in axis.texts]

    def points(self, axis, colour):
        """Of the lines with that colour and at least two points: their (x, y)."""
        return [list(zip(*line.get_data())) for line in axis.lines
                if line.get_color() == colour and len(line.get_xdata()) > 1 and line.get_linestyle() == "-"]

    def test_a_panel_for_each_batch_and_a_line_for_each_mode(self):
        plots = self.plots([generate_run(mode, batch, prefix, seconds) for batch in (4, 8)
                            for mode, seconds in (("hydragen", 0.5), ("noshared", 1.0)) for prefix in (128, 256, 512)])

        axes = plots["generate-by-prefix"].figure.axes
        self.assertEqual([axis.get_title(loc="left") for axis in axes], ["batch 4", "batch 8"])
        self.assertEqual(self.points(axes[0], "#0072B2"), [[(128, 72), (256, 72), (512, 72)]])
        self.assertEqual(self.points(axes[1], "#D55E00"), [[(128, 72), (256, 72), (512, 72)]])
        self.assertEqual(axes[0].get_xlabel(), "prefix (tokens)")
        self.assertEqual(axes[0].get_ylabel(), "decode throughput (tokens/s)")
        self.assertEqual(axes[0].get_xscale(), "log")
        self.assertEqual(axes[0].get_yscale(), "linear")
        self.assertEqual(axes[0].get_ylim()[0], 0)
        legend = [text.get_text() for text in plots["generate-by-prefix"].figure.legends[0].get_texts()]
        self.assertEqual(legend, ["hydragen", "noshared"])
        self.assertEqual(len(plots["generate-by-batch"].figure.axes), 3)

    def test_values_far_apart_are_drawn_on_a_logarithmic_axis(self):
        plots = self.plots([generate_run("hydragen", 4, 128, 0.1), generate_run("hydragen", 4, 256, 1.0)])
        self.assertEqual(plots["generate-by-prefix"].figure.axes[0].get_yscale(), "log")

    def test_bars_are_the_interval(self):
        plots = self.plots([generate_run("hydragen", 4, prefix, 0.5, 0.2) for prefix in (128, 256)])

        (bars,) = [c for c in plots["generate-by-prefix"].figure.axes[0].collections if len(c.get_segments()) == 2]
        np.testing.assert_allclose(bars.get_segments()[0], [[128, 60], [128, 90]])

    def test_a_cell_without_result_is_a_cross_in_its_colour(self):
        plots = self.plots([*(generate_run("hydragen", 4, prefix, 0.5) for prefix in (128, 256)),
                            generate_run("noshared", 4, 256, status="out_of_memory", reason="too large")])

        figure = plots["generate-by-prefix"].figure
        crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
        self.assertEqual([(line.get_xdata()[0], line.get_color()) for line in crosses], [(256, "#D55E00")])
        self.assertIn("no result", [text.get_text() for text in figure.legends[0].get_texts()])

    def test_noattention_at_one_prefix_is_drawn_over_all(self):
        plots = self.plots([generate_run("noattention", 4, 128, 0.25),
                            *(generate_run("hydragen", 4, prefix, 0.5) for prefix in (128, 256))])

        dashed = [line for line in plots["generate-by-prefix"].figure.axes[0].lines
                  if line.get_linestyle() == "--" and list(line.get_xdata()) == [0, 1]]
        self.assertEqual([list(line.get_ydata()) for line in dashed], [[144, 144]])

    def test_distribution_takes_the_slowest_rank_and_leaves_warm_up_out(self):
        samples = (samples_of(0, "decode_step", [0.010, 0.020, 0.030], ranks=2) +
                   samples_of(0, "decode_step", [5.0, 5.0], warmup=True))
        plots = self.plots([generate_run("hydragen", 4, 128, 0.5)], samples)

        self.assertEqual(list(plots), ["generate-distribution-batch4"])
        self.assertIn("40.00 ms, n 3", self.texts(plots["generate-distribution-batch4"]))

    def test_attention_by_suffix_with_its_speedup(self):
        plots = self.plots([attention_run(mode, 64, 1024, suffix, seconds)
                            for mode, seconds in (("hydragen", 1e-4), ("noshared", 6e-4)) for suffix in range(0, 64, 16)])

        self.assertEqual(list(plots), ["attention-by-suffix", "attention-speedup-by-suffix"])
        (axis,) = plots["attention-by-suffix"].figure.axes
        self.assertEqual(axis.get_title(loc="left"), "batch 64, prefix 1024")
        self.assertEqual(axis.get_ylabel(), "attention time (µs)")
        self.assertEqual(axis.get_xscale(), "linear")
        (speedups,) = self.points(plots["attention-speedup-by-suffix"].figure.axes[0], "#0072B2")
        np.testing.assert_allclose(speedups, [(suffix, 6) for suffix in range(0, 64, 16)])

    def test_needles_by_questions_with_their_speedup(self):
        runs = [needles_run(mode, questions, 512, seconds * questions)
                for mode, seconds in (("hydragen", 0.01), ("noshared", 0.05)) for questions in (2, 4, 8)]
        plots = self.plots(runs, [s for run in range(6) for s in samples_of(run, "total", [0.1, 0.2])])

        self.assertEqual(list(plots), ["needles-by-questions", "needles-speedup-by-questions",
                                       "needles-distribution-prefix512"])
        (axis,) = plots["needles-by-questions"].figure.axes
        self.assertEqual((axis.get_xlabel(), axis.get_ylabel()), ("questions", "time to answer (ms)"))
        (speedups,) = self.points(plots["needles-speedup-by-questions"].figure.axes[0], "#0072B2")
        np.testing.assert_allclose(speedups, [(questions, 5) for questions in (2, 4, 8)])
        (axis,) = plots["needles-distribution-prefix512"].figure.axes
        labels = [label.get_text() for label in axis.get_yticklabels()]
        self.assertEqual(labels[:2], ["questions 2  hydragen", "questions 2  noshared"])

    def test_many_runs_are_thinned_evenly_and_it_is_said(self):
        runs = [attention_run("hydragen", 64, 1024, suffix, 1e-4) for suffix in range(0, 1600, 16)]
        plots = self.plots(runs, [s for run in range(100) for s in samples_of(run, "attention", [1e-4, 1.1e-4])])

        distribution = plots["attention-distribution-batch64-prefix1024"]
        labels = [label.get_text() for label in distribution.figure.axes[0].get_yticklabels()]
        self.assertEqual(len(labels), 30)
        self.assertEqual((labels[0], labels[-1]), ("suffix 0  hydragen", "suffix 1584  hydragen"))
        self.assertIn("30 of 100 runs, evenly chosen.", distribution.caption)


if __name__ == "__main__":
    unittest.main()
