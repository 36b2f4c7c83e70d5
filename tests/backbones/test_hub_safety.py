"""Modules that are malicious, damaged or not there: one message each, nothing run, nothing left."""

import hashlib
import importlib.util
import io
import shutil
import tarfile
from pathlib import Path

import pytest
from hub_modules import save_module, small_network

from tfft.backbones.build import build_backbone
from tfft.backbones.hub.source import directory_digest, find_module
from tfft.config.model import HubBackbone
from tfft.errors import BackboneError, ModelFileError
from tfft.system.files import cache_directory


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("modules") / "module"
    return save_module(small_network(), path, "training_argument")


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    return cache_directory("hub")


def archive(path: Path, module: Path, *extra: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        tar.add(module, ".")
        for member in extra:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path


def test_an_archive_is_unpacked_once_and_is_the_module(tmp_path, module, cache):
    path = archive(tmp_path / "module.tar.gz", module)
    found = find_module(str(path), None)
    assert directory_digest(found.directory) == directory_digest(module)
    assert found.directory == cache / found.sha256
    assert find_module(str(path), found.sha256) == found
    backbone = build_backbone(HubBackbone(kind="hub", handle=str(path)))
    assert backbone.spec.name == f"module@{found.sha256[:8]}"


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname, found.size = kind, link, int(kind == tarfile.REGTYPE)
    return found


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        (member("../outside"), "would write outside its directory: ../outside"),
        (member("a/../../outside"), "would write outside its directory"),
        (member("/outside"), "would write outside its directory: /outside"),
        (member("link", tarfile.SYMTYPE, "/etc/passwd"), "a link or a device"),
        (member("pipe", tarfile.FIFOTYPE), "a link or a device"),
    ],
)
def test_an_archive_that_leaves_its_directory_is_not_unpacked(
    tmp_path, module, cache, extra, fault
):
    path = archive(tmp_path / "module.tar.gz", module, extra)
    with pytest.raises(BackboneError, match=fault):
        find_module(str(path), None)
    assert not (tmp_path / "outside").exists()
    assert not list(cache.iterdir())


@pytest.mark.parametrize("name", ["assets", "assets/words.txt", "assets/words"])
def test_a_link_to_what_is_not_of_the_module_is_refused(tmp_path, module, name):
    """Its content would be packed into the saved model, which is given to others."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "words.txt").write_text("secret")
    copy = shutil.copytree(module, tmp_path / "module")
    shutil.rmtree(copy / "assets", ignore_errors=True)
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).symlink_to(tmp_path / "outside" / Path(name).name)
    with pytest.raises(BackboneError, match=f"a link that leads outside of it: {name}"):
        build_backbone(HubBackbone(kind="hub", handle=str(copy)))


def test_links_within_a_module_are_followed(tmp_path, module):
    copy = shutil.copytree(module, tmp_path / "module")
    (copy / "saved_model.pb").rename(copy / "graph")
    (copy / "saved_model.pb").symlink_to("graph")
    build_backbone(HubBackbone(kind="hub", handle=str(copy)))


def test_a_truncated_archive_leaves_nothing(tmp_path, module, cache):
    path = archive(tmp_path / "module.tar.gz", module)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(BackboneError, match=r"module\.tar\.gz is damaged"):
        find_module(str(path), None)
    assert not list(cache.iterdir())


def test_another_digest_than_the_pinned_one_is_refused_before_unpacking(tmp_path, module, cache):
    path = archive(tmp_path / "module.tar.gz", module)
    for handle in (path, module):
        with pytest.raises(BackboneError, match=r"not the module that backbone\.sha256 pins"):
            find_module(str(handle), "0" * 64)
    assert not cache.exists()


def test_a_changed_byte_changes_the_digest(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"ab")
    (tmp_path / "x").write_bytes(b"c")
    before = directory_digest(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"a")
    (tmp_path / "x").write_bytes(b"bc")
    assert directory_digest(tmp_path) != before


def test_a_module_of_tf1_is_recognised(tmp_path):
    (tmp_path / "tfhub_module.pb").write_bytes(b"\x08\x03")
    (tmp_path / "saved_model.pb").write_bytes(b"")
    with pytest.raises(BackboneError, match="a module in the format of TF1"):
        find_module(str(tmp_path), None)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00no protocol buffer", bytes(range(255, 191, -1))],
    ids=["empty", "text", "bytes"],
)
def test_a_damaged_graph_is_no_traceback(tmp_path, content):
    (tmp_path / "saved_model.pb").write_bytes(content)
    with pytest.raises(ModelFileError, match=r"saved_model\.pb|TF1"):
        build_backbone(HubBackbone(kind="hub", handle=str(tmp_path)))


@pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("tensorflow_hub", "pkg_resources"))),
    reason="needs the extra `hub`",
)
def test_an_address_is_found_in_the_cache_of_tensorflow_hub(tmp_path, module, monkeypatch):
    handle = "https://tfhub.invalid/somebody/feature_vector/1"
    monkeypatch.setenv("TFHUB_CACHE_DIR", str(tmp_path))
    cached = tmp_path / hashlib.sha1(handle.encode()).hexdigest()
    shutil.copytree(module, cached)
    found = find_module(handle, directory_digest(module))
    assert found.directory == cached
    backbone = build_backbone(HubBackbone(kind="hub", handle=handle))
    assert backbone.spec.name == f"somebody/feature_vector/1@{found.sha256[:8]}"


@pytest.mark.parametrize(
    ("handle", "fault"),
    [
        ("no/such/module", "there is nothing at the path"),
        (
            "https://tfhub.invalid/module/1",
            "tfhub.invalid/module/1 (cannot be found or downloaded|is resolved by)",
        ),
    ],
)
def test_a_handle_that_leads_nowhere_is_one_message(handle, fault):
    with pytest.raises(BackboneError, match=fault):
        build_backbone(HubBackbone(kind="hub", handle=handle))
