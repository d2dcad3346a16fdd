"""scripts/: what is installed, by whom, and what is said where nothing can be done. Nothing is installed by this test:
dpkg-query, apt-get, id and sudo are replaced by programs that write down how they were called.
"""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[3] / "scripts"


class InstallDependencies(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.log = self.folder / "log"
        self.log.touch()
        self.system("debian", "12")
        self.tool("dpkg-query", 'for package; do :; done; grep -qx "$package" "$0.absent" 2>/dev/null || printf installed')
        self.tool("apt-get", f'echo "apt-get $*" >> {self.log}; [ "$1" = update ] || echo "frontend $DEBIAN_FRONTEND" >> {self.log}')
        self.tool("id", "echo 0")
        self.tool("python", '[ "$1" = - ]')  # is asked what is there, or to install

    def tool(self, name, body):
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def system(self, name, version):
        (self.folder / "os-release").write_text(f'ID={name}\nVERSION_ID="{version}"\n')

    def absent(self, *packages):
        (self.folder / "dpkg-query.absent").write_text("".join(f"{package}\n" for package in packages))

    def install(self, *arguments):
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}",
                       "HJ_OS_RELEASE": str(self.folder / "os-release"), "HJ_PYTHON": str(self.folder / "python")}
        return subprocess.run([SCRIPTS / "install_dependencies", *arguments], env=environment, cwd="/",
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def test_nothing_missing_calls_nothing(self):
        done = self.install("--tests")

        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("nothing was missing", done.stdout)
        self.assertEqual(self.log.read_text(), "")

    def test_only_what_is_missing_is_installed_and_named(self):
        self.system("ubuntu", "24.04")
        self.absent("libdnnl-dev", "python3-h5py", "libgtest-dev")

        done = self.install()

        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("2 of ", done.stdout)
        self.assertIn("\n  libdnnl-dev\n  python3-h5py\n", done.stdout)
        self.assertEqual(self.log.read_text().splitlines(), [
            "apt-get update -q",
            "apt-get install -y -q --no-install-recommends libdnnl-dev python3-h5py", "frontend noninteractive"])

    def test_packages_of_the_tests_and_of_slurm_are_asked_for_apart(self):
        self.absent("libgtest-dev", "slurm-wlm")

        self.assertIn("nothing was missing", self.install().stdout)
        self.assertIn("\n  libgtest-dev\n  slurm-wlm\n", self.install("--tests").stdout)
        without_slurm = self.install("--tests", "--no-slurm").stdout
        self.assertIn("libgtest-dev", without_slurm)
        self.assertNotIn("slurm-wlm", without_slurm)

    def test_python_packages_of_the_tests_go_into_the_build_folder(self):
        self.assertIn("2 Python packages are in build/python", self.install("--tests").stdout)
        self.assertNotIn("Python packages", self.install().stdout)

        self.tool("python", f'[ "$1" != - ] && echo "$*" >> {self.log}')
        done = self.install("--tests")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("installed tokenizers==", done.stdout)
        called = self.log.read_text()
        self.assertTrue(called.startswith("-m pip install"), called)
        self.assertIn("/build/python tokenizers==", called)
        self.assertEqual(called.count("\n"), 1)

    def test_without_a_package_index_the_rest_can_be_tested(self):
        self.tool("python", "exit 1")
        done = self.install("--tests")
        self.assertEqual(done.returncode, 0)
        self.assertIn("pip could not install tokenizers==", done.stderr)
        self.assertIn("are skipped", done.stderr)

    def test_a_removed_package_with_its_settings_left_is_missing(self):
        self.tool("dpkg-query", 'for package; do :; done; [ "$package" = cmake ] && printf config-files || printf installed')
        self.assertIn("\n  cmake\n", self.install().stdout)

    def test_sudo_where_not_root(self):
        self.tool("id", "echo 1000")
        self.tool("sudo", f'[ "$1" = -n ] || {{ echo "sudo $*" >> {self.log}; }}')
        self.absent("cmake")

        self.assertEqual(self.install().returncode, 0)
        self.assertEqual(self.log.read_text().splitlines(), [
            "sudo apt-get update -q",
            "sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends cmake"])

    def test_neither_root_nor_sudo_tells_the_command(self):
        self.tool("id", "echo 1000")
        self.tool("sudo", "exit 1")
        self.absent("cmake", "g++")

        done = self.install()

        self.assertEqual(done.returncode, 2)
        self.assertIn("apt-get update && apt-get install -y --no-install-recommends g++ cmake\n", done.stderr)
        self.assertEqual(self.log.read_text(), "")

    def test_another_system_gets_a_list(self):
        self.system("fedora", "41")

        done = self.install("--tests", "--no-slurm")

        self.assertEqual((done.returncode, done.stdout), (2, ""))
        for expected in ("this is fedora 41", "Open MPI", "oneDNN", "GoogleTest", "--no-install"):
            self.assertIn(expected, done.stderr)
        self.assertNotIn("munge", done.stderr)

    def test_a_failed_installation_fails(self):
        self.tool("apt-get", 'echo "E: Unable to locate package" >&2; exit 100')
        self.absent("cmake")
        self.assertEqual(self.install().returncode, 100)


class Test(unittest.TestCase):
    """scripts/test with ctest itself, two tests that are there already, and nothing to build."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(SCRIPTS, self.folder / "scripts")
        shutil.copy(SCRIPTS.parent / "CMakePresets.json", self.folder)
        whole = 'add_test(whole "true")\n'
        unit = 'add_test(part "true")\nset_tests_properties(part PROPERTIES LABELS unit)\n'
        gpu = 'add_test(gpu "true")\nset_tests_properties(gpu PROPERTIES LABELS gpu)\n'
        for preset, tests in (("cpu", whole + unit), ("asan", whole + unit), ("cuda", whole + gpu)):
            (self.folder / "build" / preset).mkdir(parents=True)
            (self.folder / "build" / preset / "CTestTestfile.cmake").write_text(tests)
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "cmake").write_text("#!/bin/sh\n")
        (tools / "cmake").chmod(0o755)
        (tools / "fake-nvcc").symlink_to("cmake")
        self.environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "CUDACXX": "fake-nvcc"}

    def run_tests(self, *arguments):
        return subprocess.run([self.folder / "scripts/test", "--no-install", *arguments], env=self.environment, cwd="/",
                              capture_output=True, text=True, check=False)

    def test_runs_all_under_both_presets(self):
        done = self.run_tests()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("out of 2", done.stdout)
        self.assertIn("out of 1", done.stdout)

    def test_builds_cuda_where_its_toolkit_is(self):
        self.assertIn("gpu ....", self.run_tests().stdout)
        self.environment["CUDACXX"] = "absent-nvcc"
        done = self.run_tests()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("No CUDA Toolkit", done.stdout)
        self.assertNotIn("gpu ....", done.stdout)

    def test_a_name_that_no_unit_test_has_is_no_mistake(self):
        done = self.run_tests("-R", "whole")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("asan:\nno test matches whole\n", done.stdout)

    def test_a_name_that_no_test_has_fails(self):
        done = self.run_tests("-R", "nothing")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertEqual(self.run_tests("--fast", "-R", "nothing").returncode, 1)

    def test_a_failed_test_fails(self):
        (self.folder / "build/asan/CTestTestfile.cmake").write_text(
            'add_test(part "false")\nset_tests_properties(part PROPERTIES LABELS unit)\n')
        self.assertEqual(self.run_tests().returncode, 1)


class Quickstart(unittest.TestCase):
    """scripts/quickstart with everything that it starts replaced: what it says at the end, and how it starts ranks."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        shutil.copytree(SCRIPTS, self.folder / "scripts")
        (self.folder / "build/cpu").mkdir(parents=True)
        self.tool("tools/cmake", "")
        self.tool("build/cpu/hydrajob", "")
        self.tool("analysis/hydrajob-report", "")
        self.mpirun(slots=2)

    def tool(self, name, body):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)

    def mpirun(self, slots, code=0):
        refuse = "" if slots >= 2 else 'case "$*" in *--oversubscribe*) ;; *) exit 1 ;; esac\n'
        self.tool("tools/mpirun", f'{refuse}case "$*" in *hydrajob*) exit {code} ;; esac')

    def run_quickstart(self):
        environment = {**os.environ, "PATH": f"{self.folder}/tools:{os.environ['PATH']}"}
        return subprocess.run([self.folder / "scripts/quickstart", "--no-install"], env=environment, cwd="/",
                              capture_output=True, text=True, check=False)

    def test_ranks_share_cores_only_where_there_are_too_few(self):
        self.assertIn("\nmpirun -np 2 build/cpu/hydrajob ", self.run_quickstart().stdout)
        self.mpirun(slots=1)
        done = self.run_quickstart()
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("\nmpirun -np 2 --oversubscribe --bind-to none build/cpu/hydrajob ", done.stdout)

    def test_says_what_to_do_next(self):
        for code, stream, expected in ((0, "stdout", "\nNext    docs/configuration.md "),
                                       (1, "stdout", "why:  build/cpu/hydrajob store ls results/quickstart.h5\n"),
                                       (2, "stderr", "ended with code 2; once the reason above is mended"),
                                       (75, "stderr", "was interrupted; run scripts/quickstart again")):
            with self.subTest(code):
                self.mpirun(slots=2, code=code)
                done = self.run_quickstart()
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(expected, getattr(done, stream))


class CommandLines(unittest.TestCase):
    def test_help_and_wrong_options(self):
        for script in ("install_dependencies", "quickstart", "test"):
            with self.subTest(script):
                run = lambda option: subprocess.run([SCRIPTS / script, option], capture_output=True, text=True,  # noqa: E731
                                                    cwd="/", check=False)
                self.assertEqual(run("-h").returncode, 0)
                self.assertIn(f"usage: scripts/{script}", run("-h").stdout)
                wrong = run("--what")
                self.assertEqual((wrong.returncode, wrong.stdout), (2, ""))
                self.assertIn(f"usage: scripts/{script}", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
