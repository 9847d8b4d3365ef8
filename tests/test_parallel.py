"""Tasks in worker processes: in order, one thread each, a stream that stays short, one line when a worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from unigen.errors import UserError
from unigen.parallel import ProgressBar, Workers

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def squared(number: int) -> int:
    return number * number


def late_if_even(number: int) -> int:
    time.sleep(0.02 * (number % 2 == 0))
    return number


def killed_at(number: int, fatal: int) -> int:
    if number == fatal:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def threads_after_a_while(_: int) -> tuple[int, tuple[str | None, ...]]:
    time.sleep(0.1)
    return os.getpid(), tuple(os.environ.get(name) for name in THREADS)


@pytest.mark.parametrize("count", [1, 2])
def test_results_are_in_the_order_of_the_tasks(count):
    numbers = range(70)
    with Workers(count) as workers:
        assert workers.map(late_if_even, numbers, "numbers") == list(numbers)
        assert sorted(workers.as_finished(squared, numbers, "numbers")) == [(n, n * n) for n in numbers]
        stream = ((str(n), n) for n in numbers)
        assert list(workers.in_order(late_if_even, stream, "numbers")) == [(str(n), n) for n in numbers]


@pytest.mark.parametrize("count", [1, 3])
def test_a_stream_is_read_only_as_far_ahead_as_workers_need(count):
    read = []

    def stream():
        for number in range(1000):
            read.append(number)
            yield number, number

    with Workers(count) as workers:
        results = workers.in_order(squared, stream(), "numbers")
        assert [next(results) for _ in range(5)] == [(n, n * n) for n in range(5)]
        time.sleep(0.2)  # however long nobody takes a result
        assert len(read) <= 5 + 2 * count
        results.close()


def test_every_worker_has_one_thread_and_this_process_its_own(monkeypatch):
    for name in THREADS:
        monkeypatch.setenv(name, "5")
    monkeypatch.delenv(THREADS[-1])
    with Workers(3) as workers:
        seen = dict(workers.map(threads_after_a_while, range(6), "threads"))
    assert len(seen) == 3
    assert set(seen.values()) == {("1", "1", "1")}
    assert [os.environ.get(name) for name in THREADS] == ["5", "5", None]


@pytest.mark.parametrize(
    "results",
    [
        lambda workers, work: workers.map(work, range(100), "counting"),
        lambda workers, work: list(workers.as_finished(work, range(100), "counting")),
        lambda workers, work: list(workers.in_order(work, enumerate(range(100)), "counting")),
    ],
    ids=["map", "as_finished", "in_order"],
)
def test_a_killed_worker_is_one_line_that_says_at_what(results):
    with Workers(2) as workers, pytest.raises(UserError, match=r"^counting: a worker process was killed; .*fewer"):
        results(workers, partial(killed_at, fatal=40))


def test_few_tasks_start_no_process_unless_they_must_not_be_done_here():
    with Workers() as workers:
        assert workers.map(squared, range(3), "here") == [0, 1, 4]
        assert dict(workers.as_finished(squared, [3], "here")) == {0: 9}
    with Workers(1) as workers:
        [(_, (worker, _))] = workers.as_finished(threads_after_a_while, [0], "there", here=False)
        [(_, (other, threads))] = workers.in_order(threads_after_a_while, [("key", 0)], "there", here=False)
    assert os.getpid() not in (worker, other)
    assert set(threads) == {"1"}


def test_an_error_of_a_task_or_of_the_stream_comes_through():
    def broken():
        yield 0, 2
        message = "the source is broken"
        raise ValueError(message)

    with Workers(2) as workers:
        with pytest.raises(ValueError, match="the source is broken"):
            list(workers.in_order(squared, broken(), "numbers"))
        with pytest.raises(TypeError):
            workers.map(squared, [None] * 3, "numbers")
        assert workers.map(squared, [1, 2], "numbers") == [1, 4]


def test_no_bar_where_there_is_no_terminal(capsys):
    with ProgressBar("counting", 2) as bar:
        bar.advance()
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal_counts_and_is_gone_at_the_end(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich: this is a terminal
    with ProgressBar("counting", 5, done=2) as bar:
        bar.advance(2, "two more")
        bar._progress.refresh()
    out, err = capsys.readouterr()
    assert out == ""
    assert "counting" in err
    assert "4/5" in err
    assert "two more" in err


AT_WORK = """
import os, signal, sys, time
from unigen.command import run_command
from unigen.parallel import Workers

def work(task):
    os.write(1, f"{os.getpid()}\\n".encode())  # one write: two workers share the pipe
    time.sleep(3600)

def main():
    with Workers(2) as workers:
        workers.map(work, [1, 2], "working")

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored where the tests run in a shell's background
    run_command(main)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_process_that_started_them_and_say_nothing(tmp_path, number):
    """Ctrl-C reaches all processes of a terminal, SIGTERM perhaps and a kill certainly the first alone."""
    (tmp_path / "work.py").write_text(AT_WORK)
    run = subprocess.Popen(
        [sys.executable, str(tmp_path / "work.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    pids = [int(run.stdout.readline()) for _ in range(2)]
    assert len({*pids, run.pid}) == 3
    (os.killpg if number == signal.SIGINT else os.kill)(run.pid, number)
    _, said = run.communicate()  # until every process that has the pipe is gone
    assert run.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in said
    if number != signal.SIGKILL:  # after which Python counts the semaphores that were left
        assert said.count("\n") == 1
