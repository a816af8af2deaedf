"""`pytest --processes 3`: three processes, forked after one collection, take the tests from one queue.

In place of pytest-xdist, whose processes would each import the desk and collect all tests for themselves.
"""

import itertools
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from warnings import WarningMessage

import pytest

_FORK = multiprocessing.get_context("fork")
_RUNNING_DESK = "running_desk"
_FOLDER = "tmp_path, kept"
_GRACE_SECONDS = 30.0  # for the processes of a run that ends early to tear their fixtures down


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--processes`."""
    parser.addoption("--processes", type=int, default=1, metavar="COUNT", help="processes that run the tests")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in several processes; with one, leave it to pytest."""
    option = session.config.option
    count = min(option.processes, session.testscollected)
    # These want the terminal; and each process would empty the folder.
    for_one = option.usepdb or option.trace or option.setupshow or option.basetemp
    if count < 2 or session.testsfailed or option.collectonly or for_one:
        return None
    queue = _Queue(session.items, count)
    folder = Path(tempfile.mkdtemp(prefix="desk-tests-")).resolve()
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(folder)  # else each process leaves a folder of its own behind
    processes: dict[Connection, ForkProcess] = {}
    kept: set[Path] = set()
    try:
        for _ in range(count):
            _start(session, queue, processes)
        _receive(session, processes, kept)
    except BaseException:  # -x, Ctrl-C
        _end_early(processes)
        raise
    finally:
        for process in processes.values():
            process.kill()
            process.join()
        _delete(folder, kept)
    return True


def _delete(folder: Path, kept: set[Path]) -> None:
    """Delete the folder of a run; of the failed tests, `tmp_path` is kept."""
    for path in folder.glob("pytest-of-*/pytest-*[0-9]/*") if kept else [folder]:
        if path not in kept and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


class _Queue:
    """The tests that no process has taken yet. A process takes some that follow each other, so that it uses the fixtures
    of their module once; fewer of them towards the end, so that all processes end at the same time."""

    def __init__(self, items: list[pytest.Item], count: int) -> None:
        self._items = items
        self._count = count
        self._first: Synchronized[int] = _FORK.Value("i", 0)

    def take(self) -> Iterator[pytest.Item]:
        """Yield the tests that this process is to run."""
        while True:
            with self._first.get_lock():
                first = self._first.value
                last = self._last(first)
                self._first.value = last
            if first == last:
                return
            yield from self._items[first:last]

    def _last(self, first: int) -> int:
        """Return where what is taken together ends: at the next file, but that of one running desk stays together."""
        together = list(
            itertools.takewhile(lambda item: _group(item) == _group(self._items[first]), self._items[first:])
        )
        if together and _group(together[0]) == _RUNNING_DESK:
            return first + len(together)
        return first + min(len(together), max(1, (len(self._items) - first) // (4 * self._count)))


def _group(item: pytest.Item) -> str:
    if _RUNNING_DESK in getattr(item, "fixturenames", ()):  # one process starts it
        return _RUNNING_DESK
    return item.nodeid if item.get_closest_marker("long") else str(item.path)


def _start(session: pytest.Session, queue: _Queue, processes: dict[Connection, ForkProcess]) -> None:
    """Start a process, and add it to `processes` with the pipe that it reports through."""
    receiving, sending = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_work, args=(session, queue, sending, [*processes, receiving]))
    process.start()
    sending.close()  # so that the end of the process is the end of the pipe
    processes[receiving] = process


def _end_early(processes: dict[Connection, ForkProcess]) -> None:
    """Let the processes tear their fixtures down, such as servers: at its next report each notices that nobody reads it."""
    for pipe in processes:
        pipe.close()
    end = time.monotonic() + _GRACE_SECONDS
    for process in processes.values():
        process.join(max(0.0, end - time.monotonic()))


def _work(session: pytest.Session, queue: _Queue, pipe: Connection, inherited: list[Connection]) -> None:
    """Run tests until none is left; send the name of each and its reports, then None."""
    for receiving in inherited:  # so that a process notices when the first one is gone
        receiving.close()
    random.seed()
    plugins = session.config.pluginmanager
    plugins.unregister(name="terminalreporter")
    if session.config.option.capture == "fd":
        _capture_apart(plugins.getplugin("capturemanager"))
    plugins.register(_Sender(session.config, pipe))
    try:
        _run(session, queue.take(), pipe)
    except (KeyboardInterrupt, BrokenPipeError):  # Ctrl-C, or nobody reads the reports any more
        sys.exit(2)
    finally:
        session._setupstate.teardown_exact(None)  # where the last test did not
    pipe.send(None)


def _run(session: pytest.Session, tests: Iterator[pytest.Item], pipe: Connection) -> None:
    test = next(tests, None)
    while test is not None:
        following = next(tests, None)
        pipe.send(test.nodeid)
        session.config.hook.pytest_runtest_protocol(item=test, nextitem=following)
        test = following


def _capture_apart(capture: Any) -> None:
    """Give this process files of its own for what is printed; the others write to those that it inherited. The streams
    stay the same objects: handlers of logging have them."""
    capture.resume_global_capture()
    for stream, descriptor in ((sys.stdout, 1), (sys.stderr, 2)):
        with tempfile.TemporaryFile() as own:
            os.dup2(own.fileno(), stream.fileno())
            os.dup2(own.fileno(), descriptor)
    capture.suspend_global_capture()


class _Sender:
    """In a process: sends what pytest reports, and the warnings."""

    def __init__(self, config: pytest.Config, pipe: Connection) -> None:
        self._config = config
        self._pipe = pipe

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        folder = (getattr(item, "funcargs", None) or {}).get("tmp_path")
        if report.failed and folder is not None:
            report.sections.append((_FOLDER, str(folder)))  # pytest prints it with the failure
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._pipe.send(self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_warning_recorded(
        self, warning_message: WarningMessage, when: str, nodeid: str, location: tuple[str, int, str] | None
    ) -> None:
        warned = warning_message
        self._pipe.send(_Warning(str(warned.message), warned.category.__name__, warned.filename, warned.lineno, nodeid))


class _Warning(NamedTuple):
    """A warning as it is sent: its own class may be one that is known in the test alone."""

    text: str
    category: str
    file_name: str
    line: int
    nodeid: str

    def record(self, config: pytest.Config) -> None:
        """Let pytest list it at the end."""
        category = type(self.category, (Warning,), {})
        message = WarningMessage(self.text, category, self.file_name, self.line)
        said = {"warning_message": message, "when": "runtest", "nodeid": self.nodeid, "location": None}
        config.hook.pytest_warning_recorded.call_historic(kwargs=said)


def _receive(session: pytest.Session, processes: dict[Connection, ForkProcess], kept: set[Path]) -> None:
    """Report what the processes send, until each has said that it is done; add the folders of failed tests to `kept`. Raises
    Failed where a process ends before."""
    hook = session.config.hook
    running: dict[Any, str] = dict.fromkeys(processes, "its start")
    while running:
        for pipe in wait(list(running), timeout=1):
            assert isinstance(pipe, Connection)
            try:
                sent = pipe.recv()
            except EOFError:
                _ended_before(session, processes[pipe], running[pipe])
            if sent is None:
                del running[pipe]
            elif isinstance(sent, str):
                running[pipe] = sent
            elif isinstance(sent, _Warning):
                sent.record(session.config)
            else:
                report = hook.pytest_report_from_serializable(config=session.config, data=sent)
                kept |= {Path(folder) for name, folder in report.sections if name == _FOLDER}
                hook.pytest_runtest_logreport(report=report)
        for pipe, test in running.items():  # what a test started may keep the pipe open
            if not processes[pipe].is_alive() and not pipe.poll():
                _ended_before(session, processes[pipe], test)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:  # --stepwise
            raise session.Interrupted(session.shouldstop)


def _ended_before(session: pytest.Session, process: ForkProcess, test: str) -> NoReturn:
    process.join()
    session.shouldfail = f"a process of the tests ended with {process.exitcode} in {test}"  # pytest prints it
    raise session.Failed(session.shouldfail)
