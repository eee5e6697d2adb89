"""Every language of the project is proved in its jail; the doctor says in plain words what is wrong with a file.

The roots that are not in the cache are built first (about four minutes for all on a fresh machine, two at a time).
"""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

import languages
from sandbox import check, rootfs
from sandbox.check import plain, proof, survey
from sandbox.job import SandboxError, Status, TestResult, Verdict
from sandbox.pool import Pool

REPOSITORY = Path(__file__).parents[2]
PROVED = ["c", "fortran", "julia", "lua", "ocaml", "python", "r"]


@pytest.fixture(scope="session")
def roots() -> dict[str, rootfs.Rootfs | rootfs.RootfsError]:
    return rootfs.build(PROVED)


# The other languages: `make test-languages`, which builds gigabytes of roots.
@pytest.mark.parametrize("name", PROVED)
def test_a_language_is_proved_in_its_jail(name: str, roots: dict[str, rootfs.Rootfs]) -> None:
    report = check.examine(languages.load(name))
    assert [finding.name for finding in report.findings] == list(proof.programs(languages.load(name)))
    wrong = {finding.name: f"{finding.verdict.status}: {finding.diagnosis}" for finding in report.findings}
    assert {name: why for name, why in wrong.items() if not name_is_right(report, name)} == {}
    assert report.remarks == [] and report.healthy
    assert any(digit in report.version for digit in "0123456789")


def name_is_right(report: check.Report, name: str) -> bool:
    return next(finding for finding in report.findings if finding.name == name).right


def test_the_same_programs_prove_every_language() -> None:
    assert set(PROVED) <= set(languages.names())
    for name in languages.names():
        assert list(proof.programs(languages.load(name)))[: len(proof.TESTS)] == list(proof.TESTS), name
        assert "library" in proof.programs(languages.load(name)), name


@pytest.fixture(scope="session")
def lua_root(roots: dict[str, rootfs.Rootfs]) -> Path:
    return roots["lua"].path


def test_the_table_fits_a_terminal_of_80_columns_with_verdicts_whole() -> None:
    ran = TestResult(Status.RUNTIME_ERROR, wall_s=10.417, memory_mb=1023)
    verdict = Verdict("a", Status.RUNTIME_ERROR, (ran,), compile=ran._replace(wall_s=10.2))
    finding = check.Finding("until_eof", verdict, {Status.WRONG_OUTPUT, Status.MEMORY_LIMIT})
    out = io.StringIO()
    check.show(languages.load("lua"), check.Report("1", "/root", [finding], []), Console(file=out, width=80))
    assert "until_eof   memory_limit or   runtime_error   WRONG   10200 ms   10417 ms" in out.getvalue()


def sick(folder: Path, root: Path, programs: dict[str, str] | None = None, **keys: object) -> languages.Language:
    """A Lua whose file has something wrong with it, with a proof of its own, on the root that is there already."""
    row = {"prompt": "x", "filename": "program.lua", "execute": "luajit program.lua", **keys}
    row["container"] = {"base-image": str(root)}
    healthy = proof.programs(languages.load("lua"))
    chosen = {name: healthy[name].text for name in check.NEEDED} | (programs or {})
    (folder / "proofs").mkdir()
    lines = [f"{name}: |\n" + "".join(f"  {line}\n" for line in text.splitlines()) for name, text in chosen.items()]
    (folder / "proofs/sick.yaml").write_text("".join(lines))
    return languages.parse("sick", row, str(folder / "sick.yaml"))


def said_of(report: check.Report, name: str) -> str:
    return next(finding.diagnosis for finding in report.findings if finding.name == name)


def test_a_healthy_file_gets_no_complaint(tmp_path: Path, lua_root: Path) -> None:
    report = check.examine(sick(tmp_path, lua_root))
    assert report.healthy and "LuaJIT 2" in report.version


def test_no_toolchain(tmp_path: Path, lua_root: Path) -> None:
    report = check.examine(sick(tmp_path, lua_root, execute="luajitt program.lua"))
    assert not report.healthy
    assert any("No toolchain" in remark and "'luajitt'" in remark for remark in report.remarks)


def test_wrong_file_name(tmp_path: Path, lua_root: Path) -> None:
    report = check.examine(sick(tmp_path, lua_root, execute="luajit snippet.lua"))
    assert any("Wrong file name" in remark and "'program.lua'" in remark for remark in report.remarks)
    assert not report.healthy


def test_output_on_stderr(tmp_path: Path, lua_root: Path) -> None:
    wrong = "io.stderr:write(io.read('*n') + io.read('*n'))"
    report = check.examine(sick(tmp_path, lua_root, {"sum": wrong}))
    assert "Output on stderr" in said_of(report, "sum")


def test_too_little_memory(tmp_path: Path, lua_root: Path) -> None:
    hungry = "local t = string.rep('x', 2^25); print(io.read('*n') + io.read('*n'))"
    report = check.examine(sick(tmp_path, lua_root, {"sum": hungry}, limits={"memory_mb": 16}))
    assert "Too little memory" in said_of(report, "sum") and "16 MB" in said_of(report, "sum")


def test_missing_newline(tmp_path: Path, lua_root: Path) -> None:
    joined = "for line in io.lines() do io.write(line) end"
    report = check.examine(sick(tmp_path, lua_root, {"echo": joined}))
    assert "Missing newline" in said_of(report, "echo")


def test_leading_blanks(tmp_path: Path, lua_root: Path) -> None:
    report = check.examine(sick(tmp_path, lua_root, {"sum": "print('', io.read('*n') + io.read('*n'))"}))
    assert "right but for blanks" in said_of(report, "sum")


def test_a_slow_start(tmp_path: Path, lua_root: Path) -> None:
    slow = "local begun = os.clock(); while os.clock() < begun + 2 do end; print(io.read('*n') + io.read('*n'))"
    report = check.examine(sick(tmp_path, lua_root, {"sum": slow}, limits={"test_s": 0.5}))
    assert "limits.test_s" in said_of(report, "sum")


def test_a_compiler_that_fails_and_one_that_does_not_notice(tmp_path: Path, lua_root: Path) -> None:
    compiled = "test -s program.lua || cc program.lua"
    report = check.examine(sick(tmp_path, lua_root, compile=compiled))
    broken = next(finding for finding in report.findings if finding.name == "broken")
    assert broken.expected == {Status.COMPILE_ERROR}
    assert broken.verdict.status is Status.RUNTIME_ERROR and broken.diagnosis


def test_a_proof_that_does_not_do_what_it_says(tmp_path: Path, lua_root: Path) -> None:
    good = proof.programs(languages.load("lua"))["sum"].text
    report = check.examine(sick(tmp_path, lua_root, {"wrong": good}))
    assert "'wrong'" in said_of(report, "wrong") and not report.healthy


def test_a_language_without_a_proof_is_told_what_to_write(tmp_path: Path, lua_root: Path) -> None:
    language = sick(tmp_path, lua_root)
    proof.path(language).unlink()
    report = check.examine(language)
    assert [finding.name for finding in report.findings] == ["broken"]
    assert any("Not proved" in remark and "sum, wrong, crash" in remark for remark in report.remarks)
    proof.path(language).write_text("sum: print(1)\nhum: print(2)\n")
    with pytest.raises(languages.LanguageError, match="'hum': must be one of sum, echo"):
        check.examine(language)


def test_a_root_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    language = replace(languages.load("lua"), base_image="/nowhere/root")
    with pytest.raises(SandboxError, match=r"lua\.yaml: container\.base-image"):
        check.examine(language)


def test_the_version_is_the_packages(lua_root: Path) -> None:
    assert re.fullmatch(r"2\.[\d.]+", check.package_version(languages.load("lua"), lua_root))
    assert check.package_version(languages.load("r"), lua_root) == ""


def test_a_survey_writes_its_row_and_keeps_the_others(tmp_path: Path, lua_root: Path) -> None:
    page = tmp_path / "languages.md"
    other = "| [R](../languages/r.yaml) | 4.5.0 | 1 | 1 | - | 70 | 11 of 11 | 11 of 11 |"
    gone = "| [Klingon](../languages/klingon.yaml) | 1 | 1 | 1 | - | 1 | 11 of 11 | 11 of 11 |"
    page.write_text(f"{other}\n{gone}\n")
    assert survey.survey(["lua"], page)
    rows = survey.rows(page)
    assert sorted(rows) == ["lua", "r"] and rows["r"] == other
    cells = [cell.strip() for cell in rows["lua"].strip("|").split(" | ")]
    assert cells[0] == "[Lua](../languages/lua.yaml)" and cells[1].startswith("2.") and cells[4] == "-"
    assert cells[6:8] == ["17 of 17"] * 2 and cells[8] == ("16 of 16" if plain.available() else "-")
    assert re.search(r"\d+ roots of [\d.]+ GB take [\d.]+ GB", page.read_text())


def test_a_survey_that_was_stopped_goes_on(tmp_path: Path, lua_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, begun = tmp_path / "languages.md", tmp_path / "languages.unfinished"
    begun.write_text("python\n")  # and then it was killed
    assert survey.survey(["lua", "python"], page, begun)
    assert sorted(survey.rows(page)) == ["lua"] and not begun.exists()
    assert "1 of 2 are proved already" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["c", "lua", "ocaml", "python"])
def test_a_memory_hog_is_one_without_cgroups_too(name: str, roots: dict[str, rootfs.Rootfs]) -> None:
    """`make test-languages` does it for all."""
    language = languages.load(name)
    hog = next(job for job in proof.jobs(language, use_cgroups=False) if job.id == "hog")
    with Pool([language], workers=1, use_cgroups=False) as pool:
        (verdict,) = pool.verify([hog])
    assert verdict.status is Status.MEMORY_LIMIT, verdict


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sandbox.check", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


def test_the_command_line(roots: dict[str, rootfs.Rootfs]) -> None:
    healthy = run("language=lua")
    assert healthy.returncode == 0, healthy.stdout + healthy.stderr
    for word in ("wrong_output", "runtime_error", "timeout", "output_limit", "seccomp", "LuaJIT", "Lua works here."):
        assert word in healthy.stdout
    unknown = run("language=klingon")
    assert unknown.returncode == 1 and "klingon" in unknown.stderr and "Traceback" not in unknown.stderr
    assert run("lua").returncode == 2


@pytest.mark.slow
def test_the_page_on_adding_a_language_followed_to_the_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPOSITORY / "docs/tutorials/add-a-language.md").read_text(encoding="utf-8")
    file, _, *proofs = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "proofs").mkdir()
    (tmp_path / "rexx.yaml").write_text(file)
    (tmp_path / "proofs/rexx.yaml").write_text("".join(proofs))
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(tmp_path))
    for command, words in (
        ("-m sandbox.rootfs language=rexx", "/rexx-"),
        ("-m sandbox.check language=rexx", "Rexx works here."),
        ("train.py language=rexx --cfg job", "title: Rexx"),
    ):
        assert command.startswith("train.py") or f"python {command}\n" in page
        line = [sys.executable, *command.split()]
        done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        assert words in done.stdout
