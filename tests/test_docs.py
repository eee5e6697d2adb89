"""Every page is in the index, every link and every mention of a page leads to one that is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?://)([^)#\s]*)(?:#([^)]*))?\)", page.read_text()):
        linked = page.parent / target if target else page
        assert linked.exists(), f"{page.relative_to(ROOT)} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.relative_to(ROOT)} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings: lower case, without punctuation, blanks as hyphens."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_pages_that_code_and_configs_mention_are_there() -> None:
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    for name in listed.stdout.split():
        if name.endswith((".py", ".yaml", ".c", ".toml", "Makefile", ".md")) and (ROOT / name).is_file():
            for page in re.findall(r"\bdocs/[\w/.-]+\.(?:md|png|svg)\b", (ROOT / name).read_text()):
                assert (ROOT / page).is_file(), f"{name} mentions {page}"


def test_the_reference_of_config_keys_is_what_the_config_files_say() -> None:
    page = subprocess.run([sys.executable, "docs/reference/config.py"], cwd=ROOT, capture_output=True, text=True)
    assert page.returncode == 0, page.stderr
    written = (ROOT / "docs/reference/config.md").read_text()
    assert page.stdout == written, "run: python docs/reference/config.py > docs/reference/config.md"
    for path in (ROOT / "conf").rglob("*.yaml"):  # none is forgotten
        if "hydra" not in path.parts:
            assert path.read_text().splitlines()[-1] in written or "hydra:" in path.read_text(), path
