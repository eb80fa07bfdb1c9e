"""Failures of tests that leave something open."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.processes import child_process, without_coverage

TESTS = """
import gc, socket, pytest

class Client:
    def __init__(self):
        self.itself, self.socket = self, socket.socket()

@pytest.fixture
def client():
    yield Client()
    raise ValueError

def test_fails():
    client = Client()
    assert not client.socket

def test_after_it():
    gc.collect()

def test_whose_fixture_fails(client):
    pass

def test_after_the_fixture():
    gc.collect()
"""


@pytest.mark.slow
def test_innocent_tests_pass(tmp_path: Path) -> None:
    """A test passes after one that failed and left a socket open."""
    (tmp_path / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "testkit.failed_tests", "-W", "error"]
    paths = os.pathsep.join(sys.path)
    environment = without_coverage(PYTHONPATH=paths, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    with child_process(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as child:
        printed, _ = child.communicate()
    assert "1 failed, 3 passed, 1 error" in printed, printed
