"""Certificates of all sorts, made once."""

import pytest

from tests.network.connections import Field


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Field:
    return Field(tmp_path_factory.mktemp("certificates"))
