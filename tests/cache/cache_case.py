# SPDX-License-Identifier: MIT
"""What the tests of the cache have in common: a holder's directory of their own, and `morsel`.

Each test begins with nothing in memory and must end so. Nothing is timed: eventually() waits for
what has to come, however long it takes, and gives up only when a test would hang for ever.
"""

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

# A copy that other users can run, wherever it was built.
_place = tempfile.mkdtemp(prefix="morsel-command-")
atexit.register(shutil.rmtree, _place)
os.chmod(_place, 0o755)
COMMAND = shutil.copy(os.environ["MORSEL_TEST_COMMAND"], os.path.join(_place, "morsel"))
NOBODY = 65534
HUGE_PAGES = "/sys/kernel/mm/hugepages/hugepages-2048kB/"
MIB = 1 << 20

OK, FAILED, USAGE, NOT_CACHED, STALE, NO_SPACE, NOT_PERMITTED, IN_USE = range(8)


def eventually(condition, what: str):
    """What the condition is when it holds."""
    deadline = time.monotonic() + 60
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never came: {what}")
        time.sleep(0.002)
    return value


def huge_pages_in_use() -> int:
    def number(name):
        with open(HUGE_PAGES + name) as file:
            return int(file.read())
    return number("nr_hugepages") - number("free_hugepages")


def descriptors_of(pid: int) -> list[str]:
    """What a process has open; nothing when it is gone."""
    try:
        return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    except OSError:
        return []


def has_object(pid: int) -> bool:
    return any("memfd:morsel" in link for link in descriptors_of(pid))


class CacheCase(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("needs root")
        self.directory = tempfile.mkdtemp(prefix="morsel-test-")
        os.chmod(self.directory, 0o755)
        self.addCleanup(shutil.rmtree, self.directory)
        self.command = COMMAND
        self.runtime = os.path.join(self.directory, "runtime")
        self.environment = {key: value for key, value in os.environ.items()
                            if not key.startswith("MORSEL_") and key != "NO_COLOR"}
        self.environment["MORSEL_RUNTIME"] = self.runtime
        self.addCleanup(self.end_holder)

    def end_holder(self):
        pid = self.holder()
        self.start("holder", "--stop").wait()
        if pid:
            eventually(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), "the holder's end")

    # --- the command ---------------------------------------------------------------------------

    def start(self, *arguments, user=None, **environment) -> subprocess.Popen:
        as_user = {} if user is None else {"user": user, "group": user, "extra_groups": []}
        return subprocess.Popen([self.command, *arguments], stdin=subprocess.DEVNULL, cwd=self.directory,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env={**self.environment, **environment}, **as_user)

    def finish(self, process: subprocess.Popen, status=OK) -> tuple[str, str]:
        out, err = (text.decode(errors="surrogateescape") for text in process.communicate(timeout=120))
        self.assertEqual(process.returncode, status, f"{process.args}\n{out}\n{err}")
        return out, err

    def morsel(self, *arguments, status=OK, user=None, **environment) -> tuple[str, str]:
        """Standard output and standard error."""
        return self.finish(self.start(*arguments, user=user, **environment), status)

    def ask(self, *arguments, status=OK, user=None, **environment):
        """The answer, from --json."""
        out, _ = self.morsel("--json", *arguments, status=status, user=user, **environment)
        answer = json.loads(out)
        self.assertEqual(answer["schema"], 1)
        self.assertEqual(answer["status"], status)
        self.assertEqual(bool(answer.get("errors")), status != OK)
        return answer

    def load(self, path: str, *arguments, **options):
        return self.ask("load", *arguments, "--", path, **options)["files"]

    def cached(self) -> list[dict]:
        return self.ask("ls")["objects"]

    def paths(self) -> list[str]:
        return sorted(each["path"] for each in self.cached() if each["kind"] == "file")

    # --- files ---------------------------------------------------------------------------------

    def path(self, name: str) -> str:
        return os.path.join(self.directory, name)

    def file(self, name="model.gguf", size=3 * MIB + 5, mode=0o644) -> str:
        """A file of random bytes."""
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(os.urandom(size))
        os.chmod(path, mode)
        return path

    def sparse_file(self, name="large.gguf", size=256 * MIB) -> str:
        path = self.path(name)
        with open(path, "wb") as file:
            file.truncate(size)
        return path

    # --- the holder ----------------------------------------------------------------------------

    def holder(self) -> int:
        """Its process number; 0 if there is none."""
        out, _ = self.start("--json", "holder", "--status").communicate()
        return json.loads(out).get("pid", 0)

    def link(self, path: str) -> str:
        """The object of a file."""
        state = os.stat(path)
        name = f"file-{state.st_dev:x}-{state.st_ino:x}-{state.st_size}-{state.st_mtime_ns}"
        return os.path.join(self.runtime, "objects", name)

    def content(self, path: str) -> bytes:
        """What the object of a file has, as far as the file goes."""
        with open(self.link(path), "rb") as file:
            return file.read(os.stat(path).st_size)

    def kill_holder(self):
        pid = self.holder()
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not os.path.exists(f"/proc/{pid}/fd/0"), "the holder's death")


def main():
    unittest.main(module="__main__", argv=sys.argv, verbosity=2)
