"""The tables of docs/performance.md: made from stores as worked out by hand, and the page says what its stores say."""

import contextlib
import importlib.util
import io
import shutil
import unittest
from pathlib import Path

from store_fixture import StoreTest, attention_run, generate_run, needles_run, samples_of

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("performance_tables", ROOT / "bench" / "tables.py")
tables = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(tables)

ENVIRONMENT = {
    "hydrajob": {"version": "0.1.0", "commit": "0123456789abcdef", "changed": False},
    "command": "/opt/hydrajob configs/e2e-one-gpu.yaml --store /scratch/results/x.h5",
    "ranks": [{"host": "node1", "threads": 8, "device": {"name": "cuda:0", "gpu": "NVIDIA H200", "driver": "580.1",
                                                         "power_limit": "700 W", "cuda": "13.0", "cublas": "13.1"}}],
}
PEERS = """\
# told above the columns
gpu,model,dtype,tensor_parallel,mode,batch,prefix,suffix,new_tokens,e2e_ms,prefill_ms,step_ms
NVIDIA H200,tiny,f32,1,hydragen,4,128,0,10,1000,40,75
NVIDIA H200,tiny,f32,1,hydragen,4,128,0,128,1000,99,99
NVIDIA H200,tiny,f32,2,hydragen,4,128,0,10,1000,99,99
NVIDIA H100,tiny,f32,1,hydragen,4,256,0,10,1000,99,99
"""
PYTORCH = """\
gpu,n_heads,n_kv_heads,head_dim,dtype,batch,prefix,suffix,best,best_us
NVIDIA H200,32,32,128,bf16,4,128,16,flash+cudnn,150
NVIDIA H100,32,32,128,bf16,4,256,16,flash,99
NVIDIA H200,32,32,128,bf16,4,512,16,,
"""
CEILINGS = {"ceiling.matmul_flops_per_s": 1e12, "ceiling.memory_bytes_per_s": 1e11}

PROVENANCE = """\
NVIDIA H200, driver 580.1, power limit 700 W, CUDA 13.0, cuBLAS 13.1, 1 rank; ceilings measured in the same job: f32
products 1.00 TFLOP/s, copies 100 GB/s read and written; hydrajob 0.1.0, commit 0123456789ab.

    hydrajob configs/e2e-one-gpu.yaml --store x.h5
"""
DECODE = """
| model | mode | batch | prefix | step ms | 95 % interval | n | original ms | original / ours | roofline ms | of roofline | tokens/s |
| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| tiny | hydragen | 4 | 128 | 50.00 | 40.00–60.00 | 10 | 75.00 | 1.50 | 20.00 | 40.0 % | 80.00 |
| tiny | hydragen | 4 | 256 | 100.0 |  | 10 |  |  | 20.00 | 20.0 % | 40.00 |
| tiny | noshared | 4 | 128 | out of memory |  |  |  |  |  |  |  |

No interval: fewer than 6 iterations.

Out of memory, noshared, batch 4, prefix 128: needs 212 GiB, has 139 GiB.
"""


def decode_runs():
    same = {**CEILINGS, "roofline.decode_step_s": 0.02}
    return [generate_run("noshared", 4, 128, status="out_of_memory", reason="needs 212 GiB, has 139 GiB", **CEILINGS),
            generate_run("hydragen", 4, 256, 0.9, **same), generate_run("hydragen", 4, 128, 0.45, 0.2, **same)]


class Tables(StoreTest):
    def setUp(self):
        super().setUp()
        (self.folder / "peers.csv").write_text(PEERS, encoding="utf-8")

    def page(self, words, before="", after=""):
        path = self.folder / "page.md"
        path.write_text(f"{before}<!-- table: {words} -->\n<!-- end -->\n{after}", encoding="utf-8")
        return path

    def made(self, kind, runs, others=""):
        """What stands between the markers."""
        store = self.store(runs, environments=(ENVIRONMENT,))
        page = self.page(f"{kind} {store} {others}".strip())
        self.assertEqual(self.run_main(page), (0, "", ""))
        return page.read_text(encoding="utf-8").partition("-->\n")[2].removesuffix("\n<!-- end -->\n")

    def run_main(self, *arguments):
        out, errors = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            code = tables.main([str(argument) for argument in arguments])
        return code, out.getvalue(), errors.getvalue()

    def test_decode_step_beside_the_peer_and_the_roofline(self):
        # 9 steps in 0.45 s; the peer's row of another length, degree or GPU is not this run's.
        made = self.made("decode", decode_runs(), self.folder / "peers.csv")

        self.assertEqual(made, f"\n{PROVENANCE}{DECODE}")

    def test_conditions_choose_runs(self):
        made = self.made("decode", decode_runs(), "prefix=256 mode=hydragen")

        self.assertEqual([line[:28] for line in made.splitlines() if line.startswith("| tiny")],
                         ["| tiny | hydragen | 4 | 256 "])

    def test_the_latest_measurement_counts(self):
        same = {**CEILINGS, "roofline.decode_step_s": 0.02}
        first = generate_run("hydragen", 4, 128, 0.45, finished_unix_s=1.7e9, **same)
        again = generate_run("hydragen", 4, 128, 0.90, finished_unix_s=1.8e9, **same)

        made = self.made("decode", [again, first])

        self.assertIn("| 100.0 |", made)
        self.assertNotIn("| 50.00 |", made)

    def test_several_gpus_beside_one(self):
        """A run on one GPU that differs in more than the degree, or gave nothing, is not beside it."""
        two = {**CEILINGS, "roofline.decode_step_s": 0.02, "param.tensor_parallel": 2}
        one = {**two, "param.tensor_parallel": 1}
        made = self.made("parallel", [
            generate_run("hydragen", 4, 128, 0.18, **{**two, "param.tensor_parallel": 4}),
            generate_run("hydragen", 4, 128, 0.3, 0.1, **two), generate_run("hydragen", 4, 128, 0.45, **one),
            generate_run("noshared", 4, 128, 0.9, **two), generate_run("noshared", 4, 128, 0.1, **one, **{"param.dtype": "bf16"}),
            generate_run("noshared", 8, 128, 0.9, **two),
            generate_run("noshared", 8, 128, **one, status="failed", reason="why"),
            generate_run("noshared", 16, 128, **two, status="out_of_memory", reason="too much"),
            generate_run("noshared", 16, 128, 0.9, **one),
            generate_run("hydragen", 4, 128, 0.3, **{**two, "param.new_tokens": 1})], self.folder / "peers.csv")

        # The peer's 99 ms are those of two GPUs; one's 450 ms over 300 and over 180.
        self.assertIn("""
| model | mode | batch | prefix | GPUs | step ms | 95 % interval | n | one GPU ms | × one GPU | original ms | original / ours | \
roofline ms | of roofline | tokens/s |
| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| tiny | hydragen | 4 | 128 | 2 | 33.33 | 30.00–36.67 | 10 | 50.00 | 1.50× | 99.00 | 2.97 | 20.00 | 60.0 % | 120.0 |
| tiny | hydragen | 4 | 128 | 4 | 20.00 |  | 10 | 50.00 | 2.50× |  |  | 20.00 | 100.0 % | 200.0 |
| tiny | noshared | 4 | 128 | 2 | 100.0 |  | 10 |  |  |  |  | 20.00 | 20.0 % | 40.00 |
| tiny | noshared | 8 | 128 | 2 | 100.0 |  | 10 |  |  |  |  | 20.00 | 20.0 % | 80.00 |
| tiny | noshared | 16 | 128 | 2 | out of memory |  |  |  |  |  |  |  |  |  |
""", made)

    def test_needles_beside_no_attention(self):
        """A run of as many questions alone is beside it; what did not run says why."""
        more = {**CEILINGS, "unique_prefill.median": 0.03, "questions_per_s": 80.0}
        made = self.made("needles", [
            needles_run("hydragen", 8, 19947, 0.12, **more), needles_run("noattention", 8, 19947, 0.06, **more),
            needles_run("hydragen", 16, 19947, 0.24, **more),
            needles_run("noshared", 8, 19947, **more, status="skipped", reason="too much")])

        self.assertIn("""
| model | mode | questions | document | answered ms | n | questions read ms | step ms | questions/s | of noattention |
| :-- | :-- | --: | --: | --: | --: | --: | --: | --: | --: |
| tiny | noattention | 8 | 19,947 | 60.00 | 10 | 30.00 | 5.000 | 80.00 | 100.0 % |
| tiny | hydragen | 8 | 19,947 | 120.0 | 10 | 30.00 | 10.00 | 80.00 | 50.0 % |
| tiny | hydragen | 16 | 19,947 | 240.0 | 10 | 30.00 | 20.00 | 80.00 |  |
| tiny | noshared | 8 | 19,947 | skipped |  |  |  |  |  |
""", made)
        self.assertIn("Skipped, noshared, batch 8, prefix 19947: too much.", made)

    def test_what_a_program_printed(self):
        printed = self.folder / "printed.txt"
        printed.write_text("us, medians\n| rows | us |\n|---|---|\n| 8 | 5.2 |\n\n| again |\n|---|\nend\n", encoding="utf-8")
        page = self.page(f"printed {printed} mpirun -np 2 build/program 8,32")

        self.assertEqual(self.run_main(page), (0, "", ""))

        self.assertEqual(page.read_text(encoding="utf-8").partition("-->\n")[2], """
    mpirun -np 2 build/program 8,32

us, medians

| rows | us |
|---|---|
| 8 | 5.2 |

| again |
|---|
end

<!-- end -->
""")
        self.assertEqual(self.run_main("--check", page), (0, "", ""))
        printed.write_text("us, medians\n", encoding="utf-8")
        self.assertEqual(self.run_main("--check", page)[0], 1)

    def test_products_alone(self):
        # tiny: 4 layers × (256 × (8 + 2 × 4) × 32 + 8 × 32 × 256 + 3 × 256 × 688) + 256 × 1024 = 3,162,112 weights.
        self.assertEqual(tables.weights_multiplied("tiny"), 3162112)

        made = self.made("products", [generate_run("noattention", 1000, 128, 0.09, 0.1, **CEILINGS),
                                      generate_run("hydragen", 1000, 128, 0.18, **CEILINGS)])

        # 2 × 1000 × 3,162,112 at 1e12/s are 6.324 ms, 4 × 3,162,112 bytes at 1e11/s 0.1265 ms; a step is 10 ms.
        self.assertEqual([line for line in made.splitlines() if line.startswith("| tiny")],
                         ["| tiny | 1000 | 10.00 | 9.00–11.00 | 10 | 6.324 | 1.581 | 0.1265 | 79.06 |"])

    def test_prefill_and_its_share_of_the_ceiling(self):
        run = generate_run("hydragen", 4, 128, **CEILINGS, **{
            "param.new_tokens": 1, "prefill.median": 0.05, "prefill.ci_lo": 0.04, "prefill.ci_hi": 0.06, "prefill.n": 6.0,
            "roofline.prefill_s": 0.04, "flops": 3e10})

        peers = self.folder / "prefill.csv"
        peers.write_text("".join(PEERS.splitlines(keepends=True)[:3]), encoding="utf-8")

        made = self.made("prefill", [run, *decode_runs()], peers)

        # Of the peer's prefill it does not matter how many tokens came after it, as long as it has one row of it.
        self.assertIn("| tiny | 128 | 50.00 | 40.00–60.00 | 6 | 0.03000 | 60.0 % | 80.0 % | 40.00 | 0.80 |", made)
        page = self.page(f"prefill {self.folder / 'store.h5'} {self.folder / 'peers.csv'}")
        self.assertIn("the peer has 2 rows of one run", self.run_main(page)[2])

    def test_what_a_sweep_takes_besides_the_phases(self):
        """The last run began 0.25 s after one that failed; warm-ups are its own work too."""
        later = generate_run("noshared", 4, 128, 0.45, started_unix_s=1.7e9 + 2.75, finished_unix_s=1.7e9 + 4, wall_s=0.75)
        failed = generate_run("paged", 4, 128, status="failed", reason="why", started_unix_s=1.7e9 + 2,
                              finished_unix_s=1.7e9 + 2.5)
        other = generate_run("hydragen", 8, 128, group=1, started_unix_s=1.7e9, finished_unix_s=1.7e9 + 2.75)
        first = generate_run("hydragen", 4, 128, 0.45, started_unix_s=1.7e9, finished_unix_s=1.7e9 + 2, wall_s=2.0)
        samples = [*samples_of(1, "prefill", [0.5], ranks=2), *samples_of(1, "decode_step", [0.25, 0.25], warmup=True),
                   *samples_of(1, "load", [0.4]), *samples_of(1, "total", [1.0]), *samples_of(0, "prefill", [0.7])]
        store = self.store([later, first, failed, other], samples=samples, environments=(ENVIRONMENT,))
        page = self.page(f"between {store} batch=4")

        self.assertEqual(self.run_main(page), (0, "", ""))

        self.assertEqual([line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| tiny")],
                         ["| tiny | hydragen | 4 | 128 | 10 |  | 2.000 | 1.000 | 400 | 600 |",
                          "| tiny | noshared | 4 | 128 | 10 | 250 | 0.750 | 0.700 | 0.0 | 50 |"])

    def test_attention(self):
        made = self.made("attention", [attention_run("noshared", 4, 128, 16, 4e-4, 0.1),
                                       attention_run("hydragen", 4, 128, 16, 1e-4, 0.1)])

        self.assertIn("| 32 / 32 | 4 | 128 | 16 | hydragen | 100.0 | 90.0–110.0 | 10 | 4.00× | 80.0 % |", made)

    def test_attention_beside_pytorch(self):
        """The row of another GPU is not this run's; where PyTorch has no time there is nothing to divide."""
        (self.folder / "pytorch.csv").write_text(PYTORCH, encoding="utf-8")
        floor = {**CEILINGS, "roofline.attention_s": 5e-5}

        made = self.made("attention-peers", [attention_run("hydragen", 4, 256, 16, 2e-4, **floor),
                                             attention_run("hydragen", 4, 512, 16, 2e-4, **floor),
                                             attention_run("hydragen", 8, 128, 16, status="failed", reason="why"),
                                             attention_run("noshared", 4, 128, 16, 4e-4, 0.1, **floor),
                                             attention_run("hydragen", 4, 128, 16, 1e-4, 0.1, **floor)],
                         self.folder / "pytorch.csv")

        self.assertIn("""
| heads / KV heads | batch | prefix | suffix | µs | 95 % interval | n | PyTorch µs | PyTorch / ours | floor µs | of roofline |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| 32 / 32 | 4 | 128 | 16 | 100.0 | 90.0–110.0 | 10 | 150.0 | 1.50 | 50.00 | 50.0 % |
| 32 / 32 | 4 | 256 | 16 | 200.0 |  | 10 |  |  | 50.00 | 25.0 % |
| 32 / 32 | 4 | 512 | 16 | 200.0 |  | 10 |  |  | 50.00 | 25.0 % |
| 32 / 32 | 8 | 128 | 16 | failed |  |  |  |  |  |  |
""", made)

    def test_auto_beside_what_it_chooses_between(self):
        """A run that differs in more than its mode is not beside it."""
        made = self.made("attention-auto", [
            attention_run("auto", 4, 128, 16, 1.02e-4), attention_run("hydragen", 4, 128, 16, 1e-4),
            attention_run("noshared", 4, 128, 16, 4e-4), attention_run("paged", 4, 128, 16, 0.5e-4),
            attention_run("noshared", 4, 128, 16, 0.3e-4, **{"param.l2": "warm"}),
            attention_run("auto", 8, 128, 16, 1e-4), attention_run("noshared", 8, 128, 16, status="failed", reason="why"),
            attention_run("hydragen", 8, 128, 16, 2e-4), attention_run("auto", 9, 128, 16, 1e-4),
            attention_run("auto", 10, 128, 16, status="failed", reason="why")])

        self.assertEqual([line for line in made.splitlines() if line.startswith("| 32")],
                         ["| 32 / 32 | 4 | 128 | 16 | 102.0 |  | 10 | 100.0 | 400.0 | 1.020 |",
                          "| 32 / 32 | 8 | 128 | 16 | 100.0 |  | 10 | 200.0 |  | 0.500 |",
                          "| 32 / 32 | 9 | 128 | 16 | 100.0 |  | 10 |  |  |  |",
                          "| 32 / 32 | 10 | 128 | 16 | failed |  |  |  |  |  |"])

    def test_check_changes_nothing_and_tells_the_difference(self):
        store = self.store(decode_runs(), environments=(ENVIRONMENT,))
        page = self.page(f"decode {store}", before="Above.\n\n", after="\nBelow.\n")
        empty = page.read_text(encoding="utf-8")

        code, out, _ = self.run_main("--check", page)

        self.assertEqual(code, 1)
        self.assertIn("+| tiny | hydragen | 4 | 128 |", out)
        self.assertEqual(page.read_text(encoding="utf-8"), empty)
        self.assertEqual(self.run_main(page)[0], 0)
        self.assertEqual(self.run_main("--check", page), (0, "", ""))
        text = page.read_text(encoding="utf-8")
        self.assertTrue(text.startswith("Above.\n\n<!-- table: ") and text.endswith("<!-- end -->\n\nBelow.\n"))
        page.write_text(text.replace("| 50.00 |", "| 49.00 |"), encoding="utf-8")
        self.assertEqual(self.run_main("--check", page)[0], 1)

    def test_what_cannot_be_made(self):
        store = self.store(decode_runs(), environments=(ENVIRONMENT,))
        (self.folder / "empty.txt").write_text("\n", encoding="utf-8")
        for words, code, message in ((f"decod {store}", 2, "no table 'decod', expected one of decode, parallel"),
                                     (f"parallel {store}", 2, "no such runs in the store"),
                                     ("printed none.txt", 2, "'none.txt': expected the file that was printed, and the command"),
                                     ("printed none.txt program", 2, "none.txt: No such file"),
                                     (f"printed {store} program", 2, "store.h5: is no text"),
                                     (f"printed {self.folder / 'empty.txt'} program", 2, "empty.txt: is empty"),
                                     (f"decode {store} 7b", 2, "expected one store"),
                                     (f"decode {store} none.csv", 2, "none.csv: No such file"),
                                     (f"prefill {store}", 2, "no such runs in the store"),
                                     ("decode missing.h5", 3, "missing.h5: no such file")):
            page = self.page(words)
            before = page.read_text(encoding="utf-8")
            found, _, errors = self.run_main(page)
            self.assertEqual((found, page.read_text(encoding="utf-8")), (code, before), words)
            self.assertIn(message, errors)
        page.write_text("<!-- table: decode x.h5 -->\nno end\n", encoding="utf-8")
        self.assertIn("without its '<!-- end -->'", self.run_main(page)[2])


class Page(StoreTest):
    def test_it_says_what_its_stores_say(self):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = tables.main(["--check"])
        self.assertEqual(code, 0, out.getvalue())

    def test_a_number_typed_into_it_is_noticed(self):
        page = self.folder / "performance.md"
        shutil.copy(ROOT / "docs" / "performance.md", page)
        text = page.read_text(encoding="utf-8")
        for number, other in (("| 8,098 |", "| 8,097 |"), ("| 1.75× |", "| 1.76× |"), ("| 35.8 | 0.79 |", "| 40.9 | 0.91 |")):
            self.assertIn(number, text)
            page.write_text(text.replace(number, other), encoding="utf-8")
            with contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(tables.main(["--check", str(page)]), 1, number)


if __name__ == "__main__":
    unittest.main()
