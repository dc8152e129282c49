import pytest
from django.db import connection

from library.models import Article
from shop.fixtures import committed as committed
from shop.fixtures import declared as declared
from shop.fixtures import live as live


@pytest.fixture
def tables(db):
    """`tables(Model, …)`: makes their tables; the test's transaction is rolled back."""

    def create(*models):
        with connection.schema_editor() as editor:
            for model in models:
                editor.create_model(model)

    return create


@pytest.fixture
def articles(tables):
    tables(Article)
    return Article.objects
