# SPDX-License-Identifier: MIT
import ssl

import pytest

from app import tls


class Context:
    """An SSL context that only remembers what it was to load."""

    def __init__(self):
        self.loaded = []
        self.complaint = None

    def load_cert_chain(self, certificate, key):
        if self.complaint is not None:
            raise self.complaint
        self.loaded.append((certificate.read_text(), key.read_text()))


@pytest.fixture
def secret(tmp_path):
    """A Secret as the kubelet mounts it: links to links to a folder that is replaced whole."""

    def write(generation, certificate, key):
        folder = tmp_path / f"..{generation}"
        folder.mkdir()
        (folder / "tls.crt").write_text(certificate)
        (folder / "tls.key").write_text(key)
        new = tmp_path / "..data_tmp"
        new.symlink_to(folder.name)
        new.replace(tmp_path / "..data")

    write(1, "old certificate", "old key")
    for name in ("tls.crt", "tls.key"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    return write


def certificate(context, tmp_path):
    return tls.Certificate(context, tmp_path / "tls.crt", tmp_path / "tls.key")


def test_files_that_stay_are_not_loaded_again(secret, tmp_path):
    context = Context()
    assert not certificate(context, tmp_path).reload_if_changed()
    assert context.loaded == []


def test_a_renewed_secret_is_loaded_once(secret, tmp_path):
    context = Context()
    followed = certificate(context, tmp_path)
    secret(2, "new certificate", "new key")
    assert followed.reload_if_changed()
    assert not followed.reload_if_changed()
    assert context.loaded == [("new certificate", "new key")]


@pytest.mark.parametrize("complaint", [ssl.SSLError("no match"), OSError("gone")])
def test_a_pair_that_does_not_fit_is_tried_again(secret, tmp_path, complaint):
    context = Context()
    followed = certificate(context, tmp_path)
    secret(2, "new certificate", "old key")
    context.complaint = complaint
    assert not followed.reload_if_changed()
    context.complaint = None
    assert followed.reload_if_changed()


def test_files_that_are_away_for_a_moment_end_nothing(secret, tmp_path):
    context = Context()
    followed = certificate(context, tmp_path)
    (tmp_path / "..data").unlink()
    context.complaint = FileNotFoundError("gone")
    assert not followed.reload_if_changed()
