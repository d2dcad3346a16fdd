"""What of bench/attention_peers.py needs no GPU: which shapes it takes from a store, and the rows that it writes."""

import contextlib
import importlib.util
import io
import sys
import unittest
from pathlib import Path

import pandas as pd
from store_fixture import StoreTest, attention_run, generate_run

from hydrajob_analysis import StoreError, load

ROOT = Path(__file__).resolve().parents[3]
_spec = importlib.util.spec_from_file_location("attention_peers", ROOT / "bench" / "attention_peers.py")
peers = importlib.util.module_from_spec(_spec)
sys.modules["attention_peers"] = peers  # where dataclasses look their module up
_spec.loader.exec_module(peers)


def environment(gpu="NVIDIA H200", driver="580.1"):
    return {"ranks": [{"host": "node1", "threads": 8, "device": {"gpu": gpu, "driver": driver}}]}


CPU = {"ranks": [{"host": "node1", "threads": 8, "device": {"cpu_model": "AMD EPYC"}}]}


class AttentionPeers(StoreTest):
    def run_main(self, *arguments):
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            try:
                code = peers.main([str(argument) for argument in arguments])
            except SystemExit as end:
                code = end.code
        return code, errors.getvalue()

    def test_shapes_are_those_of_hydragen_under_one_prefix(self):
        runs = [attention_run("hydragen", 8, 1024, 64, 1e-4),
                attention_run("noshared", 16, 1024, 64, 1e-4),
                attention_run("hydragen", 8, 1024, 64, 1e-4, finished_unix_s=1.8e9),  # measured again
                attention_run("hydragen", 4, 2048, 16, 1e-4, **{"param.n_heads": 8, "param.n_kv_heads": 1}),
                attention_run("hydragen", 2, 1024, 64, status="failed", reason="why"),
                attention_run("hydragen", 3, 1024, 64, 1e-4, **{"param.dtype": "f32"}),
                attention_run("hydragen", 5, 1024, 64, 1e-4, **{"param.l2": "warm"}),
                attention_run("hydragen", 6, None, 64, 1e-4, **{"param.tree": "1x8/2x8"}),
                attention_run("hydragen", 7, 0, 64, 1e-4), attention_run("hydragen", 7, 1024, 0, 1e-4),
                generate_run("hydragen", 9, 1024, 0.1)]

        shapes = peers.shapes_of(load(self.store(runs)))

        self.assertEqual(shapes, [peers.Shape(32, 32, 128, 8, 1024, 64), peers.Shape(8, 1, 128, 4, 2048, 16)])
        self.assertEqual([shape.group for shape in shapes], [1, 8])

    def test_the_store_is_of_one_kind_of_gpu(self):
        runs = [attention_run("hydragen", 8, 1024, 64, 1e-4, environment=index) for index in (0, 1)]
        for environments, found in (((environment(), environment("NVIDIA H100")), "H100"),
                                    ((environment(), environment(driver="570.9")), "570.9"),
                                    ((environment(), CPU), "H200"), ((CPU, CPU), "none")):
            store = load(self.store(runs, environments=environments))
            with self.assertRaisesRegex(StoreError, f"one kind of GPU, found .*{found}"):
                peers.machine_of(store)

        self.assertEqual(peers.machine_of(load(self.store(runs, environments=(environment(), environment())))),
                         {"gpu": "NVIDIA H200", "driver": "580.1"})

    def test_rows_name_the_fastest_way(self):
        shape = peers.Shape(8, 1, 128, 4, 2048, 16)
        other = peers.Shape(8, 1, 128, 4, 4096, 16)
        machine = {"gpu": "NVIDIA H200", "driver": "580.1"}
        rows = [peers.row_of(machine, shape, {"flash+flash": 40.0, "flash|cudnn": 30.126, "flash": 50.0}),
                peers.row_of(machine, other, {"cudnn": 20.0})]
        path = self.folder / "peers.csv"

        peers.write_csv(path, rows, 50)

        lines = path.read_text(encoding="utf-8").splitlines()
        self.assertIn("median\n# of 50, each", "\n".join(lines))
        self.assertEqual([line for line in lines if not line.startswith("#")], [
            "gpu,driver,dtype,n_heads,n_kv_heads,head_dim,batch,prefix,suffix,best,best_us,"
            "flash+flash,flash|cudnn,flash,cudnn",
            "NVIDIA H200,580.1,bf16,8,1,128,4,2048,16,flash|cudnn,30.13,40.00,30.13,50.00,",
            "NVIDIA H200,580.1,bf16,8,1,128,4,4096,16,cudnn,20.00,,,,20.00"])
        self.assertEqual(pd.read_csv(path, comment="#")["best_us"].tolist(), [30.13, 20.0])
        self.assertEqual([peers.shares(row) for row in rows], [True, False])
        self.assertFalse(peers.shares(peers.row_of(machine, shape, {})))

    def test_what_cannot_be_measured(self):
        store = self.store([attention_run("noshared", 8, 1024, 64, 1e-4)])
        csv = self.folder / "peers.csv"
        other = self.store([generate_run("hydragen", 8, 1024, 0.1)], "generate.h5")
        for arguments, code, message in ((["--store", store, "--csv", csv], 3, "no attention in mode hydragen"),
                                         (["--store", other, "--csv", csv], 3, "no attention in mode hydragen"),
                                         (["--store", self.folder / "no.h5", "--csv", csv], 3, "no such file"),
                                         (["--store", store, "--csv", csv, "--hydrajob", "x"], 2, "go together"),
                                         (["--store", store, "--csv", csv, "--hydrajob", "false", "--config", "x.yaml"], 1,
                                          "")):
            found, errors = self.run_main(*arguments)
            self.assertEqual(found, code, arguments)
            self.assertIn(message, errors)
        self.assertFalse(csv.exists())


if __name__ == "__main__":
    unittest.main()
