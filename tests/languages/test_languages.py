"""Language files: the paper's own load unchanged, mistakes are named, Hydra can override every key."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize
from hydra.core.config_store import ConfigStore
from hydra.errors import ConfigCompositionException
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

import languages
from languages import LanguageError
from sandbox.rootfs import debian, engine
from sandbox.rootfs.recipe import recipes_of
from tests.conftest import register_languages

MINIMAL = {"prompt": "Use it.", "filename": "p.x", "execute": "run p.x"}

# The configurations of the paper's section B, their prompts cut short.
PAPER = {
    "lua": """
prompt: Use Lua 5.1, targeting LuaJIT.
install: apt-get install -y luajit
filename: snippet.lua
execute: luajit snippet.lua
""",
    "julia": """
prompt: Use Julia 1.11.
container:
  base-image: "julia:1.11.3"
  type: debian
filename: snippet.jl
execute: julia snippet.jl
""",
    "r": """
install: apt-get install -y r-cran-tidyverse
filename: snippet.R
execute: Rscript snippet.R
prompt: |
  Use R version 4.
""",
    "ocaml": """
prompt: |
  Use OCaml 5.
container:
  base-image: "docker.io/ocaml/opam:ubuntu-22.04-ocaml-5.0"
  type: debian
install:
  container-instructions: |
    RUN opam install base studio utop
    ENV OPAM_SWITCH_PREFIX="/home/opam/.opam/5.0"
    ENV PATH='/home/opam/.opam/5.0/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
filename: snippet.ml
execute: utop -require base -require stdio snippet.ml
""",
    "fortran": """
prompt: |
  Use Fortran 90.
install: apt-get install -y gfortran
filename: snippet.f90
compile: gfortran -o snippet.out snippet.f90
execute: ./snippet.out
""",
}


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_own_files_load_unchanged(name: str) -> None:
    row = yaml.safe_load(PAPER[name])
    language = languages.parse(name, row, f"{name}.yaml")
    assert language.filename == row["filename"] and language.execute == row["execute"]
    assert language.compile == row.get("compile")
    assert language.prompt == row["prompt"].strip()


def test_both_forms_of_install_become_dockerfiles() -> None:
    lua = languages.parse("lua", yaml.safe_load(PAPER["lua"]), "lua.yaml")
    assert engine.dockerfile(lua.base_image, lua.install, lua.container_instructions) == (
        "FROM debian:trixie\nUSER root\n"
        "RUN export DEBIAN_FRONTEND=noninteractive; apt-get update && apt-get install -y luajit\n"
    )
    ocaml = languages.parse("ocaml", yaml.safe_load(PAPER["ocaml"]), "ocaml.yaml")
    text = engine.dockerfile(ocaml.base_image, ocaml.install, ocaml.container_instructions)
    assert text.startswith("FROM docker.io/ocaml/opam:ubuntu-22.04-ocaml-5.0\nRUN opam install base studio utop\nENV ")
    assert "apt-get" not in text


@pytest.mark.parametrize("name", languages.names())
def test_every_language_file_is_right_and_can_be_built_without_an_engine(name: str) -> None:
    language = languages.load(name)
    kinds = [recipe.kind for recipe in recipes_of(language)[0]]
    assert kinds == ["engine", "debian"]
    assert debian.parse_install(language.debian.get("install", language.install)).names
    assert name in language.fence


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"promt": "x"}, "unknown key 'promt'; the keys are prompt, filename, execute"),
        ({"prompt": None}, "'prompt' must be a string that is not empty, not None"),
        ({"filename": ""}, "'filename' must be a string that is not empty"),
        ({"filename": "../p.x"}, "'filename' must be a plain file name, not '../p.x'"),
        ({"execute": ["run"]}, "'execute' must be a string"),
        ({"title": "x\x85"}, "'title' holds U+0085"),
        ({"install": {"container-instructions": "RUN \x85"}}, "'install' holds U+0085"),
        ({"install": 3}, "'install' is a shell line or {container-instructions: ...}, not 3"),
        ({"install": {"container-instructions": "RUN x", "more": 1}}, "'install' is a shell line or"),
        ({"container": "debian"}, "'container' must be a mapping, not 'debian'"),
        ({"container": {"image": "x"}}, "unknown key 'container.image'; the keys are base-image, type, debian, files"),
        ({"container": {"files": ["/a"]}}, "'container.files' must be a mapping of absolute paths"),
        ({"container": {"files": {"a/b": "x"}}}, "'container.files' must be a mapping of absolute paths"),
        ({"container": {"files": {"/a/../b": "x"}}}, "'container.files' must be a mapping of absolute paths"),
        ({"container": {"files": {"/tmp/b": "x"}}}, "'container.files' must be a mapping of absolute paths"),
        ({"container": {"files": {"/a": 3}}}, "'container.files' must be a mapping of absolute paths"),
        ({"container": {"type": "alpine"}}, "'container.type' must be debian, not 'alpine'"),
        ({"container": {"base-image": 3}}, "'container.base-image' must be an image's name or a path"),
        ({"container": {"debian": {"suit": "sid"}}}, "'container.debian' must be a mapping of suite and install"),
        ({"fence": []}, "'fence' must be a list of code block tags, not []"),
        ({"fence": [1]}, "'fence' must be a list of code block tags, not [1]"),
        ({"limits": {"memory": 5}}, "unknown key 'limits.memory'; the keys are compile_s, test_s"),
        ({"limits": {"memory_mb": 0.5}}, "'limits.memory_mb' must be a whole number above 0, not 0.5"),
        ({"limits": {"test_s": True}}, "'limits.test_s' must be a number above 0, not True"),
    ],
)
def test_a_mistake_is_named_with_file_key_and_choices(change: dict[str, Any], message: str) -> None:
    with pytest.raises(LanguageError) as caught:
        languages.parse("x", {**MINIMAL, **change}, "folder/x.yaml")
    assert str(caught.value).startswith("folder/x.yaml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["prompt", "filename", "execute"])
def test_a_missing_key_is_named(key: str) -> None:
    row = {name: value for name, value in MINIMAL.items() if name != key}
    with pytest.raises(LanguageError, match=f"x.yaml: key '{key}' is missing; required are prompt, filename, execute"):
        languages.parse("x", row, "x.yaml")


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(languages.KEYS), ANYTHING))
def test_any_mapping_is_a_language_or_one_clear_sentence(row: dict[str, Any]) -> None:
    try:
        language = languages.parse("x", {**MINIMAL, **row}, "x.yaml")
    except LanguageError as error:
        assert str(error).startswith("x.yaml: ") and "\n" not in str(error).strip()
    else:
        assert language.prompt and language.execute and language.filename


@pytest.fixture
def private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", str(tmp_path))
    return tmp_path


def test_a_private_folder_comes_first_and_unknown_names_list_the_known(private: Path) -> None:
    (private / "lua.yaml").write_text("{prompt: mine, filename: p, execute: p}")
    (private / "klingon.yaml").write_text("{prompt: nuqneH, filename: p, execute: p}")
    assert languages.load("lua").prompt == "mine"
    assert "klingon" in languages.names() and "ocaml" in languages.names()
    with pytest.raises(LanguageError, match=r"unknown language 'cobolt'.*klingon, .*lua"):
        languages.load("cobolt")
    (private / "bad.yaml").write_text("prompt: [")
    with pytest.raises(LanguageError, match=r"bad\.yaml: not YAML"):
        languages.load("bad")


def test_a_private_folder_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGNOSTICS_LANGUAGES", "/nowhere/mine")
    with pytest.raises(LanguageError, match=r"no klingon\.yaml in /nowhere/mine \(no folder\) or .*/languages; there"):
        languages.load("klingon")
    assert languages.load("lua").name == "lua"


def in_a_config(*overrides: str) -> languages.Language:
    register_languages()
    ConfigStore.instance().store(name="only_language", node={"defaults": [{"language": "lua"}]})
    with initialize(version_base="1.3", config_path=None):
        return read(compose("only_language", list(overrides)))


def read(config: Any) -> languages.Language:
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return languages.from_config(plain["language"])


@pytest.mark.parametrize("name", languages.names())
def test_hydra_gives_back_the_language_of_the_file(name: str) -> None:
    assert in_a_config(f"language={name}") == languages.load(name)


def test_every_key_can_be_overridden(private: Path) -> None:
    changed = in_a_config(
        "language=ocaml", "language.limits.test_s=11", "language.container.base-image=/a/root", "language.title=Caml"
    )
    assert (changed.limits.test_s, changed.base_image, changed.title) == (11, "/a/root", "Caml")
    assert changed.limits.memory_mb == languages.load("ocaml").limits.memory_mb


def test_overrides_are_checked_and_the_message_names_the_file() -> None:
    with pytest.raises(ConfigCompositionException, match="tset_s"):
        in_a_config("language.limits.tset_s=1")
    with pytest.raises(LanguageError, match=r"lua\.yaml: key 'limits\.test_s' must be a number above 0, not -1"):
        in_a_config("language.limits.test_s=-1")
    with pytest.raises(LanguageError, match=r"lua\.yaml: unknown key 'colour'"):
        in_a_config("+language.colour=red")


def test_a_broken_file_fails_when_it_is_chosen_and_not_before(private: Path) -> None:
    (private / "bad.yaml").write_text("{prompt: x, filename: p}")
    assert in_a_config("language=lua").name == "lua"
    with pytest.raises(LanguageError, match=r"bad\.yaml: key 'execute' is missing"):
        in_a_config("language=bad")


ANY = st.text(st.characters(exclude_characters="\x85", exclude_categories=["Cs"]), min_size=1)
TEXTS = ANY.filter(str.strip) | st.text("${}\\a:=\"'", min_size=1).filter(str.strip)


@settings(deadline=None)
@given(TEXTS, TEXTS, TEXTS, st.integers(0, 3), st.booleans())
def test_what_a_file_says_survives_any_number_of_readings(
    prompt: str, line: str, title: str, readings: int, stored: bool
) -> None:
    row = {**MINIMAL, "prompt": prompt, "execute": line, "title": title, "install": {"container-instructions": line}}
    language = languages.parse("x", row, "x.yaml")
    config: Any = OmegaConf.create({"language": languages.to_config(language)})
    for _ in range(readings):
        OmegaConf.resolve(config)
        if stored:
            config = OmegaConf.create(OmegaConf.to_yaml(config))
    assert read(config) == language


def test_an_interpolation_on_the_command_line_is_still_one() -> None:
    assert in_a_config("language.title='${language.name} 2'").title == "lua 2"
