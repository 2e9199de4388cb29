"""The in-memory index keeps the contract of the real one, so that tests on it mean something."""

from __future__ import annotations

import pytest

from tests.fake_index import InMemoryIndex
from tests.workers.index.identity_contract import IdentityContract
from tests.workers.index.index_answers import AnswersContract
from tests.workers.index.index_contract import IndexContract
from tests.workers.index.object_contract import ObjectContract
from workers.ports import StudyIndex


class TestInMemoryIndex(IndexContract, AnswersContract, IdentityContract, ObjectContract):
    @pytest.fixture
    def index(self) -> StudyIndex:
        return InMemoryIndex()
