import pytest
from helpers.browser import browser


@pytest.fixture(scope="session")
def opened():
    """One browser for every page."""
    with browser() as found:
        yield found
