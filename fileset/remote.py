"""Placeholder until the real module is written."""

import uproot


def is_remote(path: str) -> bool:
    return "://" in path


def is_transient(error: BaseException) -> bool:
    return isinstance(error, (ConnectionError, TimeoutError))


def open_root(path, *, timeout=60.0, attempts=3):
    return uproot.open({path: None})
