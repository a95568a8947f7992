"""One suite of behaviours a port; every adapter's test module inherits it and hands over what it tests."""

import pytest

pytest.register_assert_rewrite("tests.contracts.file_store", "tests.contracts.store")
