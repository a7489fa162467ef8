"""Fixtures shared by the whole suite."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of reference vectors and real files beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"reference data not found at {SHARED}: vectors and real files are NOT tested")
    return SHARED
