"""Install lines are understood or refused, never guessed at; the mirror is the machine's own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.rootfs import debian
from sandbox.rootfs.debian import Packages


@pytest.mark.parametrize(
    ("image", "suite"),
    [
        ("debian:trixie", "trixie"),
        ("debian:bookworm-slim", "bookworm"),
        ("debian:trixie-20250520-slim", "trixie"),
        ("docker.io/library/debian:12.5", "bookworm"),
        ("debian:11", "bullseye"),
        ("debian:sid", "sid"),
        ("debian:latest", None),  # of when?
        ("debian", None),
        ("debian:99", None),
        ("ubuntu:22.04", None),
        ("julia:1.11.3", None),
        ("docker.io/ocaml/opam:ubuntu-22.04-ocaml-5.0", None),
        ("localhost/debian:trixie", None),
    ],
)
def test_suite_of_an_image(image: str, suite: str | None) -> None:
    assert debian.suite_of(image) == suite


@pytest.mark.parametrize(
    ("line", "packages"),
    [
        (None, Packages()),
        ("apt-get install -y luajit", Packages(("luajit",))),
        ("apt-get update && apt-get install -y g++ libc6-dev", Packages(("g++", "libc6-dev"))),
        ("apt-get -y install --no-install-recommends r-base-core", Packages(("r-base-core",), recommends=False)),
        ("apt install --yes -qq ocaml", Packages(("ocaml",))),
    ],
)
def test_install_lines_that_are_understood(line: str | None, packages: Packages) -> None:
    assert debian.parse_install(line) == packages


@pytest.mark.parametrize(
    "line",
    [
        "curl -L example.org | sh",
        "apt-get install -y luajit && rm -rf /",
        "apt-get install -y luajit; ls",
        "apt-get install -y $(cat list)",
        "apt-get install -y ./local.deb",
        "apt-get install -y luajit=2.1",
        "apt-get install -t sid -y luajit",
        "apt-get install --allow-unauthenticated luajit",
        "apt-get install -y",
        "apt-get install -y Luajit",
        "apt-get install -y luajit 'unfinished",
        "apt-get upgrade -y",
        "sudo apt-get install -y luajit",
    ],
)
def test_install_lines_that_are_refused(line: str) -> None:
    with pytest.raises(ValueError):
        debian.parse_install(line)


NAMES = st.from_regex(r"[a-z0-9][a-z0-9+.-]{1,12}", fullmatch=True).filter(lambda name: name != "install")


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_every_package_name_survives(names: list[str]) -> None:
    assert debian.parse_install(f"apt-get install -y {' '.join(names)}").names == tuple(names)


@given(st.text())
def test_any_line_is_parsed_or_refused_with_a_reason(line: str) -> None:
    try:
        packages = debian.parse_install(line)
    except ValueError as error:
        assert str(error)
    else:
        assert all(debian.PACKAGE.fullmatch(name) for name in packages.names)


@pytest.mark.parametrize(
    ("name", "text", "mirror"),
    [
        ("sources.list", "# deb http://no.example/debian x\ndeb http://a.example/debian/ trixie main\n", "a"),
        ("sources.list", "deb [arch=amd64 signed-by=/k.gpg] http://b.example/debian trixie main\n", "b"),
        ("sources.list.d/debian.sources", "Types: deb\nURIs: http://c.example/debian\nSuites: trixie\n", "c"),
        ("sources.list.d/other.list", "deb https://other.example/node_20.x nodistro main\n", None),
        ("sources.list.d/security.list", "deb http://s.example/debian-security trixie-security main\n", None),
        ("sources.list.d/debian.list.save", "deb http://old.example/debian trixie main\n", None),
    ],
)
def test_the_mirror_is_the_machines_own(tmp_path: Path, name: str, text: str, mirror: str | None) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / name).write_text(text)
    expected = f"http://{mirror}.example/debian" if mirror else debian.DEFAULT_MIRROR
    assert debian.mirror(tmp_path) == expected


@pytest.mark.parametrize("recommends", [True, False])
def test_recommended_packages_come_as_in_a_container_unless_the_line_says_no(recommends: bool) -> None:
    command = debian.command(Packages(("r-base-core",), recommends=recommends), Path("/cache/base.tar"))
    assert f"APT::Install-Recommends={str(recommends).lower()} " in " ".join(command)
    assert any(word.endswith("install r-base-core >&2") for word in command)


def test_a_root_without_packages_is_its_base() -> None:
    assert not any("customize-hook" in word for word in debian.command(Packages(), Path("/cache/base.tar")))


def test_the_first_package_that_fails_is_shown_not_the_long_list_of_those_that_need_it() -> None:
    script = "x11-common.postinst: 13: cannot create /dev/null: Directory nonexistent"
    broken = ["dpkg: error processing package x11-common (--configure):", "its script returned error exit status 2"]
    said = ["I: creating chroot", *["Setting up libc6 ..."] * 20, script, *broken, *["dependency problems"] * 20]
    told = debian._why(said)
    assert all(line in told for line in (script, *broken)) and "dependency" not in told
    assert "E: no mirror" in debian._why([*["Setting up libc6 ..."] * 20, "E: no mirror"])
