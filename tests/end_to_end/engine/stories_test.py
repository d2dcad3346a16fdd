"""A real trained model, stories260K: its greedy continuation of a prompt is the reference's, token for token, in every
mode and at every degree. The data is not part of the repository: without it the test is skipped.

  stories_test.py PROBE MPIEXEC SOURCE_DIR           (run by ctest; exit 77: skipped)
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROBE, MPIEXEC, SOURCE = sys.argv[1:4]
DATA = Path(os.environ.get("HJ_SHARED", Path(SOURCE).parent / "shared")) / "data"
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
VOCAB = 512


def continuation(folder, mode, ranks, prompt, new_tokens):
    """First logits (vocab) and the tokens (new_tokens) of two equal sequences: one below a node, one alone."""
    ids = " ".join(map(str, prompt))
    batch = f"new_tokens {new_tokens}\nnode -1 {ids}\nsequence 0\nsequence -1 {ids}\n"
    (folder / "batch.txt").write_text(batch)
    out = folder / "out.bin"
    command = [PROBE, folder / "stories.h5", "f32", mode, "4", "0", "1", "1", folder / "batch.txt", out]
    if ranks > 1:
        command = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-np", str(ranks), *command]
    subprocess.run(command, env=ENVIRONMENT, check=True)
    words = np.fromfile(out, np.int32)
    steps = new_tokens * 2 * VOCAB
    logits = words[:steps].view(np.float32).reshape(new_tokens, 2, VOCAB)
    return logits[0], words[steps : steps + 2 * new_tokens].reshape(2, new_tokens)


def main():
    model, golden_file = DATA / "stories260K.bin", DATA / "stories260K_golden.json"
    if not model.exists():
        print(f"skipped: {model} is not there (HJ_SHARED names the folder that holds data/)")
        return 77
    golden = json.loads(golden_file.read_text())
    expected = np.array(golden["greedy_ids"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        importer = Path(SOURCE) / "tests" / "support" / "import_llama2c.py"
        subprocess.run([sys.executable, importer, model, folder / "stories.h5"], check=True)
        for mode in ("hydragen", "noshared", "paged", "auto"):
            for ranks in (1, 2, 4):
                logits, tokens = continuation(folder, mode, ranks, golden["prompt_ids"], len(expected))
                reference = np.array(golden["first_logits"])
                error = np.linalg.norm(logits - reference) / np.linalg.norm(reference) / np.sqrt(2)
                assert error < 1e-5, f"{mode}, {ranks} ranks: first logits differ by {error:.2e}"
                for sequence in tokens:
                    np.testing.assert_array_equal(sequence, expected, f"{mode}, {ranks} ranks")
                print(f"{mode}, {ranks} ranks: {len(expected)} tokens as expected, logits within {error:.1e}")
    print(golden["text"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
