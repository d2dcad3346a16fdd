"""How fast the programs that models are published for make ids of a text, line by line, on one core; medians.

  PYTHONPATH=build/python taskset -c 0 bench/tokenizer_peers.py TOKENIZER TEXT [repetitions = 7]
"""

import os
import statistics
import sys
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"


def encoder(path):
    """A new one, that remembers no words."""
    if path.read_bytes()[:1] == b"{":
        from tokenizers import Tokenizer
        return Tokenizer.from_file(str(path)).encode_batch_fast
    import sentencepiece
    processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
    return lambda lines: processor.encode(lines, num_threads=1)


def main():
    path, text = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()
    lines = text.decode(errors="replace").splitlines(keepends=True)
    times = []
    for _ in range(int(sys.argv[3]) if len(sys.argv) > 3 else 7):
        encode = encoder(path)
        begin = time.perf_counter()
        encode(lines)
        times.append(time.perf_counter() - begin)
    print(f"{len(text) / 1e6:.2f} MB; encode {len(text) / 1e6 / statistics.median(times):.1f} MB/s")


if __name__ == "__main__":
    main()
