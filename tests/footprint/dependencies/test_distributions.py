"""Modules and the distributions that they come from, in folders as installers leave them."""

import json
import os
import sys
from pathlib import Path

import pytest
import torchgen  # noqa: F401 - the test asks where it comes from
import yaml  # noqa: F401 - and this

from opscope.footprint import Distribution, DistributionIndex, OriginKind


def install(
    site: Path,
    name: str,
    files: dict[str, str],
    *,
    version: str = "1.0",
    url: dict[str, object] | None = None,
    top_level: str | None = None,
    has_record: bool = True,
) -> None:
    """Lay out a distribution as an installer does."""
    facts = site / f"{name.replace('-', '_')}-{version}.dist-info"
    facts.mkdir(parents=True)
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    if url is not None:
        (facts / "direct_url.json").write_text(json.dumps(url))
    if top_level is not None:
        (facts / "top_level.txt").write_text(top_level)
    if has_record:
        lines = (f'"{path}",,' if "," in path else f"{path},," for path in files)
        (facts / "RECORD").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    return folder


def kind_and_name(site: Path, module: str, file: Path | None) -> tuple[OriginKind, str | None]:
    index = DistributionIndex((os.fspath(site),))
    origin = index.origin(module, None if file is None else os.fspath(file))
    return origin.kind, origin.distribution and origin.distribution.name


def test_distributions_that_share_a_namespace_are_told_apart(site: Path) -> None:
    install(site, "Cloud-Storage", {"cloud/storage/__init__.py": ""}, top_level="cloud")
    install(site, "cloud.auth", {"cloud/auth.py": ""}, top_level="cloud")
    storage = site / "cloud/storage/__init__.py"
    assert kind_and_name(site, "cloud.storage", storage) == (
        OriginKind.DISTRIBUTION,
        "Cloud-Storage",
    )
    auth = site / "cloud/auth.py"
    assert kind_and_name(site, "cloud.auth", auth) == (OriginKind.DISTRIBUTION, "cloud.auth")


def test_a_module_of_yours_may_bear_the_name_of_an_installed_one(
    site: Path, tmp_path: Path
) -> None:
    install(site, "PyYAML", {"yaml/__init__.py": ""}, top_level="yaml")
    assert kind_and_name(site, "yaml", tmp_path / "yaml.py") == (OriginKind.LOCAL, None)
    assert kind_and_name(site, "random", tmp_path / "random.py") == (OriginKind.LOCAL, None)


def test_a_distribution_without_a_list_of_files_is_told_by_its_name_and_place(site: Path) -> None:
    install(site, "old", {"older/core.py": ""}, top_level="older", has_record=False)
    place = site / "older/core.py"
    assert kind_and_name(site, "older.core", place) == (OriginKind.DISTRIBUTION, "old")


def test_what_is_worked_on_is_editable_and_scripts_beside_it_are_yours(
    site: Path, tmp_path: Path
) -> None:
    work = tmp_path / "my work"
    url = {"url": work.as_uri(), "dir_info": {"editable": True}}
    install(site, "mine", {}, url=url, top_level="mine")
    origin = DistributionIndex((os.fspath(site),)).origin("mine.core", f"{work}/src/mine/core.py")
    assert origin.kind is OriginKind.EDITABLE
    assert origin.distribution == Distribution("mine", "1.0", work.as_uri(), is_editable=True)
    assert origin.distribution.folder == os.fspath(work)
    assert kind_and_name(site, "train", work / "train.py") == (OriginKind.LOCAL, None)


def test_the_environment_inside_a_folder_that_is_worked_on_is_no_part_of_it(tmp_path: Path) -> None:
    inner = tmp_path / "work/.venv/site"
    url = {"url": (tmp_path / "work").as_uri(), "dir_info": {"editable": True}}
    install(inner, "mine", {}, url=url)
    place = inner / "stray.py"
    assert kind_and_name(inner, "stray", place) == (OriginKind.LOCAL, None)


def test_files_with_signs_of_csv_in_their_names_are_found(site: Path) -> None:
    install(site, "odd", {"odd, or not.py": ""})
    place = site / "odd, or not.py"
    assert kind_and_name(site, "odd, or not", place) == (OriginKind.DISTRIBUTION, "odd")


def test_a_repository_is_named_with_its_commit(site: Path) -> None:
    url = {
        "url": "https://example.org/a.git",
        "vcs_info": {"vcs": "git", "commit_id": "ab12"},
        "subdirectory": "python",
    }
    install(site, "a", {"a.py": ""}, url=url)
    found = DistributionIndex((os.fspath(site),)).origin("a", f"{site}/a.py").distribution
    assert found is not None
    assert found.url == "git+https://example.org/a.git@ab12#subdirectory=python"


@pytest.mark.parametrize("text", ["{", "[]", '{"url": 3}', "null"])
def test_damaged_notes_of_installers_are_passed_over(site: Path, text: str) -> None:
    install(site, "a", {"a.py": ""})
    (site / "a-1.0.dist-info/direct_url.json").write_text(text)
    (site / "b-1.0.dist-info").mkdir()
    found = DistributionIndex((os.fspath(site),)).origin("a", f"{site}/a.py").distribution
    assert found == Distribution("a", "1.0")


def test_what_a_build_leaves_beside_the_code_hides_no_installation(
    site: Path, tmp_path: Path
) -> None:
    code = tmp_path / "code"
    install(site, "mine", {}, url={"url": f"file://{code}", "dir_info": {"editable": True}})
    left = code / "mine.egg-info"
    left.mkdir(parents=True)
    (left / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (left / "SOURCES.txt").write_text("mine.py\n")
    index = DistributionIndex((os.fspath(code), os.fspath(site)))
    assert index.origin("mine", os.fspath(code / "mine.py")).kind is OriginKind.EDITABLE


def test_modules_of_this_environment() -> None:
    index = DistributionIndex()
    for module, kind, name in [
        ("json", OriginKind.STANDARD_LIBRARY, None),
        ("sys", OriginKind.STANDARD_LIBRARY, None),
        ("yaml", OriginKind.DISTRIBUTION, "PyYAML"),
        ("torchgen", OriginKind.DISTRIBUTION, "torch"),
        ("torch.ops", OriginKind.DISTRIBUTION, "torch"),
        ("opscope", OriginKind.EDITABLE, "opscope"),
        ("_distutils_hack", OriginKind.ENVIRONMENT, None),
        ("no.such.module", OriginKind.LOCAL, None),
    ]:
        file = getattr(sys.modules.get(module), "__file__", None)
        origin = index.origin(module, file)
        assert (origin.kind, origin.distribution and origin.distribution.name) == (kind, name)
