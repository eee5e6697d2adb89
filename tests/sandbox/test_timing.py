"""What the doctor finds that makes timings lie: on trees of files as such machines have them, and on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.check.timing import disturbances

REPOSITORY = Path(__file__).parents[2]
CPUS = "sys/devices/system/cpu"
QUIET = {
    f"{CPUS}/cpu0/cpufreq/scaling_governor": "performance",
    f"{CPUS}/intel_pstate/no_turbo": "1",
    f"{CPUS}/smt/active": "0",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority",
    "proc/sys/kernel/randomize_va_space": "2",
    "proc/self/status": "Seccomp:\t0",
    "proc/loadavg": "0.05 0.30 0.20 1/99 1234",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "sys/fs/cgroup/cpu.max": "max 100000",
}
DISTURBED = {
    "frequency scaling": {f"{CPUS}/cpu0/cpufreq/scaling_governor": "powersave"},
    "turbo": {f"{CPUS}/intel_pstate/no_turbo": "0"},
    "SMT": {f"{CPUS}/smt/active": "1"},
    "swap": {"proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 999 0 -2"},
    "ASLR": {"proc/self/status": "Seccomp:\t2"},
    "load": {"proc/loadavg": "999.00 3.00 2.00 9/99 1234"},
    "transparent huge pages": {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
    "CPU quota": {"sys/fs/cgroup/cpu.max": "50000 100000"},
}


def machine(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


def test_a_quiet_machine_and_one_that_tells_nothing(tmp_path: Path) -> None:
    assert disturbances(machine(tmp_path / "quiet", QUIET)) == []
    assert disturbances(machine(tmp_path / "mute", {})) == []


@pytest.mark.parametrize("name", DISTURBED)
def test_each_disturbance_is_named_with_what_to_do(tmp_path: Path, name: str) -> None:
    (found,) = disturbances(machine(tmp_path, QUIET | DISTURBED[name]))
    assert found.name == name and found.seen and found.harm and found.advice


def test_other_names_of_the_same(tmp_path: Path) -> None:
    amd = {f"{CPUS}/intel_pstate/no_turbo": "", f"{CPUS}/cpufreq/boost": "1"}
    v1 = {"sys/fs/cgroup/cpu.max": "", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}  # fmt: skip
    assert [found.name for found in disturbances(machine(tmp_path, QUIET | amd | v1))] == ["turbo", "CPU quota"]


def test_the_doctor_shows_the_machine_alone() -> None:
    done = subprocess.run([sys.executable, "-m", "sandbox.check"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "seccomp" in done.stdout
    for found in disturbances():
        if found.name != "load":  # it comes and goes
            assert f"Timings may lie here: {found.name}" in done.stdout


def test_this_machine_is_read() -> None:
    on = Path("/proc/swaps").read_text().count("\n") > 1
    assert ("swap" in [found.name for found in disturbances()]) == on
