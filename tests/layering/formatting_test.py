"""Every C++ source is as .clang-format says. Skips (exit code 77) without clang-format 14: other versions differ."""
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(sys.argv[1])
program = sys.argv[2] if len(sys.argv) > 2 else ""
if not program or program.endswith("NOTFOUND"):
    print("skipped: clang-format-14 is not installed")
    sys.exit(77)
version = subprocess.run([program, "--version"], capture_output=True, text=True).stdout
if "version 14." not in version:
    print(f"skipped: {version.strip()} formats differently from version 14")
    sys.exit(77)
files = sorted(p for folder in ("src", "kernels", "tests", "bench") for s in ("*.cpp", "*.hpp", "*.cu", "*.cuh")
               for p in (root / folder).rglob(s))
run = subprocess.run([program, "--dry-run", "--Werror", *map(str, files)], capture_output=True, text=True)
wrong = sorted(set(re.findall(r"^(.+?):\d+:\d+: error: code should be clang-formatted", run.stderr, re.MULTILINE)))
print(f"{len(files)} files, {len(wrong)} not formatted")
for name in wrong:
    print("clang-format -i", pathlib.Path(name).relative_to(root))
sys.exit(1 if run.returncode else 0)
